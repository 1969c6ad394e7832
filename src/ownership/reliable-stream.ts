/** A message that the other side has not acknowledged. */
export interface Unacknowledged<Message> {
  readonly sequence: number;
  readonly message: Message;
  readonly sizeBytes: number;
}

/** A node sends a handful of messages a call: this many unacknowledged ones mean that the other side has stopped reading. */
const MAX_MESSAGES = 1024;
/** Some 500 offers with their answers. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Both directions of a connection that outlives its TCP connections: what to send again, what to deliver, each message exactly once. */
export class ReliableStream<Out> {
  #unacknowledged: Unacknowledged<Out>[] = [];
  #bytes = 0;
  #sent = 0;
  #received = 0;

  /** Sequence number of the last message delivered here, 0 before the first. */
  get received(): number {
    return this.#received;
  }

  /** From oldest to newest. */
  get unacknowledged(): readonly Unacknowledged<Out>[] {
    return this.#unacknowledged;
  }

  /** More than half full: nothing new should be begun, what there is must still be able to end. */
  get congested(): boolean {
    return this.#unacknowledged.length > MAX_MESSAGES / 2 || this.#bytes > MAX_BYTES / 2;
  }

  /** Numbers a message and keeps it until it is acknowledged. Undefined when there is no room. */
  push(message: Out): Unacknowledged<Out> | undefined {
    const sizeBytes = JSON.stringify(message).length;
    if (this.#unacknowledged.length >= MAX_MESSAGES || this.#bytes + sizeBytes > MAX_BYTES) return undefined;
    this.#sent += 1;
    this.#bytes += sizeBytes;
    const entry = { sequence: this.#sent, message, sizeBytes };
    this.#unacknowledged.push(entry);
    return entry;
  }

  /** The other side has everything up to here. False when it cannot: it was never sent, or taken back. */
  acknowledge(sequence: number): boolean {
    const first = this.#unacknowledged[0]?.sequence ?? this.#sent + 1;
    if (sequence > this.#sent || sequence < first - 1) return false;
    const done = this.#unacknowledged.splice(0, sequence - first + 1);
    for (const { sizeBytes } of done) this.#bytes -= sizeBytes;
    return true;
  }

  /** What to do with an arriving message. A gap means that the other side has lost count. */
  accept(sequence: number): 'deliver' | 'duplicate' | 'gap' {
    if (sequence <= this.#received) return 'duplicate';
    if (sequence > this.#received + 1) return 'gap';
    this.#received = sequence;
    return 'deliver';
  }
}
