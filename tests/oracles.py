"""Reference implementations of the paper's equations in plain NumPy and Python."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, dtype=np.float64)))


def lbfs(graph, user, khop):
    """Algorithms 1 and 2: the nodes of layer `khop` of a breadth-first search from `user`.

    `graph` maps a node to its neighbors. As in the algorithm, no node is marked as visited.
    """
    queue = {user}
    for _ in range(khop):
        layer = set()
        for node in queue:
            layer |= set(graph[node])
        queue = layer
    return queue


def distances(graph, user):
    """Return the number of hops from `user` to every reachable node."""
    found = {user: 0}
    queue = [user]
    while queue:
        node = queue.pop(0)
        for neighbor in graph[node]:
            if neighbor not in found:
                found[neighbor] = found[node] + 1
                queue.append(neighbor)
    return found


def bipartite(dense):
    """Return the graph of a dense user-item matrix; item v is the node ("item", v)."""
    num_users, num_items = dense.shape
    graph = {u: [("item", v) for v in np.flatnonzero(dense[u])] for u in range(num_users)}
    graph |= {("item", v): list(np.flatnonzero(dense[:, v])) for v in range(num_items)}
    return graph


def adjacency(dense):
    """Return the square matrix of the graph: users, then items."""
    num_users, num_items = dense.shape
    graph = np.zeros((num_users + num_items, num_users + num_items))
    graph[:num_users, num_users:] = dense
    graph[num_users:, :num_users] = dense.T
    return graph


def lightgcn(dense, nodes, num_layers):
    """LightGCN's eq. (3), (4) layer by layer, node by node, with 1/(L+1) weights."""
    graph = adjacency(dense)
    size = len(graph)
    degree = graph.sum(axis=1)
    layer = nodes.astype(np.float64)
    layers = [layer]
    for _ in range(num_layers):
        following = np.zeros_like(layer)
        for i in range(size):
            for j in np.flatnonzero(graph[i]):
                following[i] += layer[j] / np.sqrt(degree[i] * degree[j])
        layer = following
        layers.append(layer)
    return np.mean(layers, axis=0)


def row_propagation(dense, nodes, num_layers):
    """The authors' LightGCN: each layer averages a node and its neighbors, node by node."""
    graph = adjacency(dense)
    layer = nodes.astype(np.float64)
    layers = [layer]
    for _ in range(num_layers):
        layer = np.stack(
            [np.mean(layer[[i, *np.flatnonzero(graph[i])]], axis=0) for i in range(len(graph))]
        )
        layers.append(layer)
    return np.mean(layers, axis=0)


def ngcf(dense, nodes, kernels, keep_messages=None, keep_nodes=None):
    """NGCF's eq. (3), (4), (6), (10) node by node: messages, their sum, and concatenated layers.

    `kernels` holds (W1, W2) of each layer. `keep_messages` and `keep_nodes` hold, for each layer,
    the dropout factors of the outputs [n, d] and of the senders [n, 1].
    """
    graph = adjacency(dense)
    degree = graph.sum(axis=1)
    layer = nodes.astype(np.float64)
    layers = [layer]
    for number, (w1, w2) in enumerate(kernels):
        following = np.zeros((len(layer), w1.shape[1]))
        for u in range(len(graph)):
            message = layer[u] @ w1
            for i in np.flatnonzero(graph[u]):
                sent = layer[i] if keep_nodes is None else keep_nodes[number][i] * layer[i]
                norm = 1 / np.sqrt(degree[u] * degree[i])
                message = message + norm * (sent @ w1 + (sent * layer[u]) @ w2)
            following[u] = np.where(message > 0, message, 0.2 * message)
        if keep_messages is not None:
            following = following * keep_messages[number]
        layer = following
        length = np.linalg.norm(layer, axis=1, keepdims=True)
        layers.append(np.divide(layer, length, out=np.zeros_like(layer), where=length > 0))
    return np.concatenate(layers, axis=1)


def leaky(x):
    """LeakyReLU with slope 0.2."""
    return np.where(x > 0, x, 0.2 * x)


def ngcf_of_code(dense, nodes, transforms, keep_messages=None, self_loop=True, both=True):
    """The layers of NGCF.py, node by node: means over a node and its neighbors, two LeakyReLUs.

    `transforms` holds (W1, W2, b1, b2) of each layer, `keep_messages` the dropout factors of the
    outputs [n, d]. Mistakes: without `self_loop` the mean is over the neighbors alone, without
    `both` one LeakyReLU is applied to the sum.
    """
    graph = adjacency(dense)
    layer = nodes.astype(np.float64)
    layers = [layer]
    for number, (w1, w2, b1, b2) in enumerate(transforms):
        following = np.zeros((len(layer), w1.shape[1]))
        for u in range(len(graph)):
            among = [*([u] if self_loop else []), *np.flatnonzero(graph[u])]
            side = np.sum(layer[among], axis=0) / max(len(among), 1)
            terms = side @ w1 + b1[0], (layer[u] * side) @ w2 + b2[0]
            following[u] = sum(map(leaky, terms)) if both else leaky(sum(terms))
        layer = following if keep_messages is None else following * keep_messages[number]
        length = np.linalg.norm(layer, axis=1, keepdims=True)
        layers.append(np.divide(layer, length, out=np.zeros_like(layer), where=length > 0))
    return np.concatenate(layers, axis=1)


def pinsage(features, neighbors_of, kernels):
    """GraphSAGE's algorithm 1 with the mean aggregator, one node at a time.

    `neighbors_of(layer, node)` returns the neighbors to use; `kernels` holds (W, V) of each layer.
    """

    def hidden(layer, node):
        if layer == 0:
            return features[node].astype(np.float64)
        own_kernel, kernel = kernels[layer - 1]
        neighbors = [hidden(layer - 1, other) for other in neighbors_of(layer, node)]
        mean = np.mean(neighbors, axis=0) if neighbors else np.zeros(len(kernel))
        result = np.concatenate([hidden(layer - 1, node) @ own_kernel, mean @ kernel])
        return result if layer == len(kernels) else np.maximum(result, 0)

    final = np.stack([hidden(len(kernels), node) for node in range(len(features))])
    return final / np.linalg.norm(final, axis=1, keepdims=True)


def splitmix64(start, number):
    """Return element `number`, from 0, of the SplitMix64 sequence with seed `start`."""
    mask = 2**64 - 1
    z = (start + (number + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def assisted_law(user, positive, candidates, alpha):
    """Eq. (7): the probability of each candidate."""
    weights = sigmoid(alpha * (candidates @ user) + (1 - alpha) * (candidates @ positive))
    return weights / weights.sum()


def beta(exposed, candidates):
    """Eq. (9) for one user: a factor for each exposed candidate."""
    number = len(set(exposed) & set(candidates))
    return np.array([number if item in set(candidates) else 1 for item in exposed], dtype=float)


def exposed_negative(user, exposed, item_table, factors):
    """Eq. (8): the exposed item with the largest amplified score."""
    probability = sigmoid(factors * (item_table[exposed] @ user))
    return exposed[int(np.argmax(probability))]


def softmax_law(user, positive, candidates, alpha):
    """The authors' LightGCN: σ of eq. (7) used as logits."""
    weights = np.exp(sigmoid(alpha * (candidates @ user) + (1 - alpha) * (candidates @ positive)))
    return weights / weights.sum()


def nested_merge(exposed, assisted, k):
    """The authors' code for the negatives [k, d] of one pair."""
    m = (1 - 1 / k) * assisted[0] + exposed / k
    return np.stack([(1 - 1 / k) * each + m / k for each in assisted])


def original_step(propagate, nodes, num_users, pairs, margin, l2):
    """One step of the authors' LightGCN: loss, hinge, penalty, and the gradient on `nodes`.

    `propagate` is a linear map of nodes [U + I, d]; its matrix is its value at the identity.
    `pairs` holds users [B], positives [B], the k drawn negatives [B, k] and the exposed one [B].
    """
    size = len(nodes)
    matrix = propagate(np.eye(size))
    final = matrix @ nodes
    users, positives, negatives, exposed = pairs
    batch, k = negatives.shape
    hinge, penalty = 0.0, 0.0
    to_final, to_nodes = np.zeros_like(final), np.zeros_like(final)
    for u, v, others, shown in zip(users, positives, negatives, exposed, strict=True):
        e_u, e_v = final[u], final[num_users + v]
        merged = nested_merge(final[num_users + shown], final[num_users + others], k)
        for row, e_n in zip(range(k), merged, strict=True):
            low, high = sigmoid(e_u @ e_n), sigmoid(e_u @ e_v)
            gap = low - high + margin
            if gap <= 0:
                continue
            hinge += gap / (batch * k)
            d_low, d_high = (s * (1 - s) / (batch * k) for s in (low, high))
            to_final[u] += d_low * e_n - d_high * e_v
            to_final[num_users + v] -= d_high * e_u
            to_final[num_users + others[row]] += d_low * (1 - 1 / k) * e_u
            to_final[num_users + others[0]] += d_low * (1 / k) * (1 - 1 / k) * e_u
            to_final[num_users + shown] += d_low * (1 / k) * (1 / k) * e_u
        for node in (u, num_users + v, *(num_users + others)):
            penalty += l2 * 0.5 * nodes[node] @ nodes[node] / batch
            to_nodes[node] += l2 * nodes[node] / batch
    return hinge + penalty, hinge, penalty, matrix.T @ to_final + to_nodes


def adam(step, weights, steps, rate=1e-3, epsilon=1e-8):
    """TensorFlow 1's Adam, which adds ε to the uncorrected root of the second moment.

    `step` returns the loss, two more numbers and the gradient. The result is the losses before
    each step, and the weights after the last.
    """
    first, second, losses = np.zeros_like(weights), np.zeros_like(weights), []
    for t in range(1, steps + 1):
        loss, _, _, gradient = step(weights)
        losses.append(loss)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = weights - corrected * first / (np.sqrt(second) + epsilon)
    return np.array(losses), weights


def top_of_search(user_table, item_table, seen, depth, k):
    """The authors' ranking: retrieve `depth` items, drop seen ones, and keep the first k."""
    lists = []
    for u in range(len(user_table)):
        order = np.argsort(-(item_table @ user_table[u]), kind="stable")[:depth]
        lists.append([v for v in order if not seen[u, v]][:k])
    return lists


def merge(exposed, assisted, k):
    """Eq. (11) for one negative."""
    return exposed / k + (1 - 1 / k) * assisted


def augmented_hinge(users, positives, negatives, margin):
    """Eq. (5) from embeddings: [B, d], [B, d], [B, k, d]."""
    k = negatives.shape[1]
    total = 0.0
    for u, v, others in zip(users, positives, negatives, strict=True):
        gap = sigmoid(sum(float(u @ n) for n in others)) - sigmoid(k * float(u @ v))
        total += max(0.0, float(gap) + margin)
    return total / k


def pairwise_hinge(users, positives, negatives, margin):
    """The authors' code: the mean over all pairs and negatives."""
    terms = [
        max(0.0, float(sigmoid(u @ n) - sigmoid(u @ v)) + margin)
        for u, v, others in zip(users, positives, negatives, strict=True)
        for n in others
    ]
    return float(np.mean(terms))


def plain_hinge(users, positives, negatives, margin):
    """Algorithm 3's hinge."""
    terms = [
        max(0.0, float(u @ n - u @ v) + margin)
        for u, v, others in zip(users, positives, negatives, strict=True)
        for n in others
    ]
    return float(np.mean(terms))


def bpr(users, positives, negatives, margin):
    """-log sigmoid of the score difference."""
    del margin
    terms = [
        -np.log(sigmoid(u @ v - u @ n))
        for u, v, others in zip(users, positives, negatives, strict=True)
        for n in others
    ]
    return float(np.mean(terms))


def softmax(users, positives, negatives, margin, temperature=1.0):
    """Minus the log probability of the positive among itself and the negatives."""
    del margin
    terms = []
    for u, v, others in zip(users, positives, negatives, strict=True):
        weights = [np.exp(u @ each / temperature) for each in (v, *others)]
        terms.append(-np.log(weights[0] / sum(weights)))
    return float(np.mean(terms))


def kpair(users, positives, negatives, margin):
    """log(1 + the sum of exp of the score differences)."""
    del margin
    terms = [
        np.log(1 + sum(np.exp(u @ n - u @ v) for n in others))
        for u, v, others in zip(users, positives, negatives, strict=True)
    ]
    return float(np.mean(terms))


def bsl(users, positives, negatives, margin, temperature=1.0, temperature_2=1.0):
    """Minus the log of exp(positive / t) over a power of the sum of exp(negative / t)."""
    del margin
    terms = []
    for u, v, others in zip(users, positives, negatives, strict=True):
        total = sum(np.exp(u @ n / temperature) for n in others)
        terms.append(-np.log(np.exp(u @ v / temperature) / total**temperature_2))
    return float(np.mean(terms))


def ccl(users, positives, negatives, margin, ccl_weight=0.0):
    """1 - the positive's score, if positive, and the weighted mean of what exceeds the margin."""
    terms = []
    for u, v, others in zip(users, positives, negatives, strict=True):
        excess = [max(0.0, float(u @ n) - margin) for n in others]
        negative = ccl_weight * sum(excess) / len(others) if ccl_weight else sum(excess)
        terms.append(max(0.0, 1 - float(u @ v)) + negative)
    return float(np.mean(terms))


def unit(table):
    """Rows scaled to length 1; rows of zeros stay."""
    length = np.linalg.norm(table.astype(np.float64), axis=-1, keepdims=True)
    return np.divide(table, length, out=np.zeros(table.shape), where=length > 0)


def l2_penalty(user_table, item_table, users, positives, negatives):
    """Half the squared layer-0 rows of the batch, counting repeats, over the batch size."""
    total = sum(0.5 * np.sum(user_table[u].astype(np.float64) ** 2) for u in users)
    total += sum(0.5 * np.sum(item_table[v].astype(np.float64) ** 2) for v in positives)
    total += sum(0.5 * np.sum(item_table[n].astype(np.float64) ** 2) for n in negatives.ravel())
    return total / len(users)


def ranking(user_table, item_table, held_out, seen, k):
    """Recall, NDCG and HR at k of one user at a time, by a full sort."""
    recall, ndcg, hr = [], [], []
    for u in range(len(user_table)):
        relevant = set(np.flatnonzero(held_out[u]))
        if not relevant:
            continue
        score = user_table[u] @ item_table.T
        order = [v for v in np.argsort(-score, kind="stable") if not seen[u, v]][:k]
        hits = [v in relevant for v in order]
        recall.append(sum(hits) / len(relevant))
        gain = sum(1 / np.log2(rank + 2) for rank, hit in enumerate(hits) if hit)
        ideal = sum(1 / np.log2(rank + 2) for rank in range(min(len(relevant), k)))
        ndcg.append(gain / ideal)
        hr.append(float(any(hits)))
    return np.array(recall), np.array(ndcg), np.array(hr)
