"""`python -m recns_tf` is `recns-tf`."""

from recns_tf.main import main

main()
