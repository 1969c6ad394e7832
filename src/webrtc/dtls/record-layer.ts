import { ReplayWindow } from '../srtp/replay-window.ts';
import { MAX_SEQUENCE, RECORD_HEADER_BYTES, writeRecordHeader } from './record.ts';
import type { OpenedRecord, RecordNumber, RecordProtection, WireRecord } from './record-protection.ts';

interface WriteEpoch {
  sequence: number;
  readonly protection: RecordProtection | undefined;
}

interface ReadEpoch {
  readonly epoch: number;
  readonly window: ReplayWindow;
  readonly protection: RecordProtection;
}

/** A record that proved authentic, and by which keys. */
export interface AuthenticRecord extends OpenedRecord, RecordNumber {
  readonly protection: RecordProtection;
}

/** Four hellos whose sender may be the true one, the epoch of 1.2, and the last two of application data. */
const MAX_READ_KEYS = 8;

/**
 * Numbers, seals, opens and de-duplicates records of both versions (RFC 6347 §4.1, RFC 9147 §4). Epoch 0 is readable to all and proves nothing.
 * Several keys may claim one epoch, as long as it is open which of them is the peer's: whichever opens a record.
 */
export class RecordLayer {
  readonly #write = new Map<number, WriteEpoch>([[0, { sequence: 0, protection: undefined }]]);
  /** Keys that come back go on counting: a number is never used twice with them. */
  readonly #known = new WeakMap<RecordProtection, WriteEpoch>();
  /** Newest first. */
  #read: ReadEpoch[] = [];
  #writeEpoch = 0;

  /** The epoch that was given its keys last: what has no epoch of its own is sent in it. */
  get writeEpoch(): number {
    return this.#writeEpoch;
  }

  /** Back to an epoch that has its keys. */
  writeIn(epoch: number): void {
    if (this.#write.has(epoch)) this.#writeEpoch = epoch;
  }

  writeWith(epoch: number, protection: RecordProtection): void {
    const state = this.#known.get(protection) ?? { sequence: 0, protection };
    this.#known.set(protection, state);
    this.#write.set(epoch, state);
    this.#writeEpoch = epoch;
  }

  /** Further keys for an epoch, or the first. */
  readWith(epoch: number, protection: RecordProtection): void {
    this.#read.unshift({ epoch, window: new ReplayWindow(), protection });
    if (this.#read.length > MAX_READ_KEYS) this.#read.pop();
  }

  /** These keys turned out to be nobody's, or are too old. */
  forget(protection: RecordProtection): void {
    this.#read = this.#read.filter((each) => each.protection !== protection);
  }

  /** An epoch that is over: its keys are let go. Not the one that is written in. */
  retire(epoch: number): void {
    if (epoch === this.#writeEpoch) return;
    this.#write.delete(epoch);
    this.#read = this.#read.filter((each) => each.epoch !== epoch);
  }

  /** The only keys of an epoch, in both directions. */
  install(epoch: number, local: RecordProtection, remote: RecordProtection): void {
    this.#read = this.#read.filter((each) => each.epoch !== epoch);
    this.writeWith(epoch, local);
    this.readWith(epoch, remote);
  }

  canRead(record: WireRecord): boolean {
    return this.#read.some((each) => claims(each, record));
  }

  /** Bytes that a record of this epoch is longer than what it carries. */
  overhead(epoch: number): number {
    return this.#write.get(epoch)?.protection?.overhead ?? RECORD_HEADER_BYTES;
  }

  /** The number of the next record in this epoch. */
  nextSequence(epoch: number): number {
    return this.#write.get(epoch)?.sequence ?? 0;
  }

  /** One whole record; undefined when the epoch has no keys or no numbers left. */
  write(epoch: number, contentType: number, plain: Uint8Array): Buffer | undefined {
    const state = this.#write.get(epoch);
    if (!state || state.sequence > MAX_SEQUENCE) return undefined;
    const sequence = state.sequence++;
    if (state.protection) return state.protection.seal(contentType, epoch, sequence, plain);
    const record = Buffer.alloc(RECORD_HEADER_BYTES + plain.length);
    writeRecordHeader(record, contentType, epoch, sequence, plain.length);
    record.set(plain, RECORD_HEADER_BYTES);
    return record;
  }

  /** Opens a protected record. The window moves only for what proved authentic. */
  open(record: WireRecord): AuthenticRecord | 'replay' | 'auth' {
    let isReplay = false;
    for (const state of this.#read) {
      if (!claims(state, record)) continue;
      const { epoch, window, protection } = state;
      const sequence = protection.sequenceOf(record, window.highest + 1);
      if (sequence === undefined) continue;
      if (window.has(sequence)) {
        isReplay = true;
        continue;
      }
      const opened = protection.open(record, sequence);
      if (!opened) continue;
      window.mark(sequence);
      return { ...opened, epoch, sequence, protection };
    }
    return isReplay ? 'replay' : 'auth';
  }
}

/** The unified header shows two bits of the epoch (RFC 9147 §4.2.2). */
function claims({ epoch, protection }: ReadEpoch, record: WireRecord): boolean {
  if (protection.isUnified) return record.unified !== undefined && (epoch & 3) === record.epoch;
  return record.unified === undefined && epoch === record.epoch;
}
