/** Something that may be forgotten from some moment on and knows its place in the heap. */
export interface ExpiryNode {
  /** The moment, in milliseconds since 1970. */
  forgetAt: number;
  /** Its place in the heap; the heap sets it. -1: not in it. */
  heapIndex: number;
}

/**
 * A binary heap that knows which of its nodes is due first: no timer per node and no scan over all.
 * Adding, moving and removing cost the logarithm of their number.
 */
export class ExpiryHeap<Node extends ExpiryNode> {
  readonly #nodes: Node[] = [];

  get first(): Node | undefined {
    return this.#nodes[0];
  }

  get size(): number {
    return this.#nodes.length;
  }

  add(node: Node): void {
    this.#nodes.push(node);
    this.#rise(node, this.#nodes.length - 1);
  }

  /** Puts a node into its place again after its `forgetAt` was changed. */
  moved(node: Node): void {
    this.#rise(node, node.heapIndex);
    this.#sink(node, node.heapIndex);
  }

  remove(node: Node): void {
    const index = node.heapIndex;
    const last = this.#nodes.pop();
    node.heapIndex = -1;
    if (last === undefined || last === node) return;
    this.#put(last, index);
    this.moved(last);
  }

  #rise(node: Node, from: number): void {
    let index = from;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = this.#nodes[above];
      if (parent === undefined || parent.forgetAt <= node.forgetAt) break;
      this.#put(parent, index);
      index = above;
    }
    this.#put(node, index);
  }

  #sink(node: Node, from: number): void {
    let index = from;
    for (;;) {
      const child = this.#earlierChild(index);
      if (child === undefined || child.forgetAt >= node.forgetAt) break;
      const below = child.heapIndex;
      this.#put(child, index);
      index = below;
    }
    this.#put(node, index);
  }

  #earlierChild(index: number): Node | undefined {
    const left = this.#nodes[2 * index + 1];
    const right = this.#nodes[2 * index + 2];
    if (left === undefined || right === undefined) return left;
    return right.forgetAt < left.forgetAt ? right : left;
  }

  #put(node: Node, index: number): void {
    this.#nodes[index] = node;
    node.heapIndex = index;
  }
}
