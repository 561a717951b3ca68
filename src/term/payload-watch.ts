/** Notes what a term that is being decoded holds besides data: its receiver may not want that from everybody. */
export class PayloadWatch {
  /** The two nodes whose pids, references and ports may stand in it. */
  readonly own: string;
  readonly peer: string;
  /** A fun, local or external. */
  hasFun = false;
  /** An identifier of a third node. */
  hasForeign = false;

  constructor(own: string, peer: string) {
    this.own = own;
    this.peer = peer;
  }

  /** A new term begins. */
  reset(): void {
    this.hasFun = false;
    this.hasForeign = false;
  }

  /** An identifier of `node` was met. */
  met(node: string): void {
    if (node !== this.peer && node !== this.own) this.hasForeign = true;
  }

  /** A fun was met. */
  metFun(): void {
    this.hasFun = true;
  }
}
