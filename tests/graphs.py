"""The operations of TensorFlow graphs."""


def operations(definition) -> set[str]:
    """Return the types of all operations of a GraphDef and of the functions it calls."""
    functions = [function.node_def for function in definition.library.function]
    return {node.op for nodes in (definition.node, *functions) for node in nodes}


def operations_of(function, *arguments) -> set[str]:
    """Return those of the graph that a tf.function has for some arguments."""
    return operations(function.get_concrete_function(*arguments).graph.as_graph_def())
