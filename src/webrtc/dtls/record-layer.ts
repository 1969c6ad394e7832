import { ReplayWindow } from '../srtp/replay-window.ts';
import { MAX_SEQUENCE, RECORD_HEADER_BYTES, writeRecordHeader } from './record.ts';
import type { OpenedRecord, RecordProtection, WireRecord } from './record-protection.ts';

interface WriteEpoch {
  sequence: number;
  readonly protection: RecordProtection | undefined;
}

interface ReadEpoch {
  readonly window: ReplayWindow;
  readonly protection: RecordProtection;
}

/** Numbers, seals, opens and de-duplicates records (RFC 6347 §4.1). Epoch 0 is readable to all and proves nothing. */
export class RecordLayer {
  readonly #write = new Map<number, WriteEpoch>([[0, { sequence: 0, protection: undefined }]]);
  readonly #read = new Map<number, ReadEpoch>();

  install(epoch: number, local: RecordProtection, remote: RecordProtection): void {
    this.#write.set(epoch, { sequence: 0, protection: local });
    this.#read.set(epoch, { window: new ReplayWindow(), protection: remote });
  }

  canRead(epoch: number): boolean {
    return this.#read.has(epoch);
  }

  /** Bytes that a record of this epoch is longer than what it carries. */
  overhead(epoch: number): number {
    return this.#write.get(epoch)?.protection?.overhead ?? RECORD_HEADER_BYTES;
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
  open(record: WireRecord): OpenedRecord | 'replay' | 'auth' {
    const state = this.#read.get(record.epoch);
    if (!state) return 'auth';
    if (state.window.has(record.sequence)) return 'replay';
    const opened = state.protection.open(record);
    if (!opened) return 'auth';
    state.window.mark(record.sequence);
    return opened;
  }
}
