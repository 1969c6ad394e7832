import type { Directory, NodeRecord } from './directory.ts';
import type { NodeId } from './node-id.ts';

/** A directory in this process: the list given by `--nodes`, or just ourselves. */
export class MemoryDirectory implements Directory {
  readonly #records = new Map<NodeId, NodeRecord>();

  constructor(records: Iterable<NodeRecord> = []) {
    for (const record of records) this.set(record);
  }

  find(nodeId: NodeId): NodeRecord | undefined {
    return this.#records.get(nodeId);
  }

  all(): readonly NodeRecord[] {
    return [...this.#records.values()];
  }

  set(record: NodeRecord): void {
    this.#records.set(record.nodeId, record);
  }

  delete(nodeId: NodeId): void {
    this.#records.delete(nodeId);
  }
}
