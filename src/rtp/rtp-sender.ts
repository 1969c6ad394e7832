import { randomUint16, randomUint32 } from '../base/ids.ts';
import { writeRtp } from './packet.ts';
import { nextSequence } from './sequence.ts';

export interface RtpSenderOptions {
  readonly payloadType: number;
  /** Random when absent. */
  readonly ssrc?: number;
  /** Random when absent (RFC 3550 §5.1). */
  readonly sequenceNumber?: number;
  readonly timestamp?: number;
}

/** Numbers the packets of one outgoing stream: sequence, timestamp, and the marker after a silence. */
export class RtpSender {
  readonly ssrc: number;
  payloadType: number;
  #sequenceNumber: number;
  #timestamp: number;
  // The first packet begins a talkspurt.
  #marker = true;
  #packets = 0;
  #octets = 0;
  #lastTimestamp: number;

  constructor({ payloadType, ssrc = randomUint32(), sequenceNumber = randomUint16(), timestamp = randomUint32() }: RtpSenderOptions) {
    this.payloadType = payloadType;
    this.ssrc = ssrc;
    this.#sequenceNumber = sequenceNumber;
    this.#timestamp = timestamp;
    this.#lastTimestamp = timestamp;
  }

  /** Packets and payload bytes so far, for the sender report. */
  get packets(): number {
    return this.#packets;
  }

  get octets(): number {
    return this.#octets;
  }

  /** Where the audio's clock is: the timestamp of the next packet. */
  get nextTimestamp(): number {
    return this.#timestamp;
  }

  /** Timestamp of the last packet. */
  get lastTimestamp(): number {
    return this.#lastTimestamp;
  }

  /** The next packet; the clock then moves on by the `ticks` that its payload lasts. */
  next(payload: Uint8Array, ticks: number): Buffer {
    const packet = this.#write(payload, this.payloadType, this.#timestamp, this.#marker);
    this.#marker = false;
    this.#timestamp = (this.#timestamp + ticks) >>> 0;
    return packet;
  }

  /**
   * Lets time pass without a packet. `silence`: nobody spoke, the next packet is marked. `lost`: audio was missed on the
   * way to us; the next packet carries no marker, so that the receiver sees a gap to conceal.
   */
  skip(ticks: number, reason: 'silence' | 'lost' = 'silence'): void {
    this.#timestamp = (this.#timestamp + ticks) >>> 0;
    if (reason === 'silence') this.#marker = true;
  }

  /** Leaves out the numbers of packets that should have been sent: the receiver sees that they are lost. */
  lose(packets: number): void {
    for (let n = 0; n < packets; n++) this.#sequenceNumber = nextSequence(this.#sequenceNumber);
  }

  /** A packet beside the audio, such as a telephone event: it takes a sequence number and leaves the audio's clock alone. */
  beside(payload: Uint8Array, options: { readonly payloadType: number; readonly timestamp: number; readonly marker: boolean }): Buffer {
    return this.#write(payload, options.payloadType, options.timestamp, options.marker);
  }

  #write(payload: Uint8Array, payloadType: number, timestamp: number, marker: boolean): Buffer {
    const header = { payloadType, marker, sequenceNumber: this.#sequenceNumber, timestamp, ssrc: this.ssrc };
    this.#sequenceNumber = nextSequence(this.#sequenceNumber);
    this.#lastTimestamp = timestamp;
    this.#packets += 1;
    this.#octets += payload.length;
    return writeRtp(header, payload);
  }
}
