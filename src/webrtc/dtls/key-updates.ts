import type { FragmentSource, HandshakeLink } from './handshake.ts';
import { type HandshakeFragment, HandshakeType } from './handshake-message.ts';
import { MessageAssembler } from './message-assembler.ts';
import type { RecordProtection } from './record-protection.ts';
import { nextSecret, protectionFrom } from './tls13-key-schedule.ts';
import { parseKeyUpdate, writeKeyUpdate } from './tls13-messages.ts';

/** message_seq has 16 bits, and no more messages are taken or sent: so many key updates are enough for any call. */
const MAX_SEQUENCE = 0xffff;
/** The epoch of the first application data (RFC 9147 §6.1). */
const FIRST_EPOCH = 3;

export interface KeyUpdatesOptions {
  /** Traffic secrets of epoch 3. */
  readonly localSecret: Buffer;
  readonly remoteSecret: Buffer;
  /** message_seq of our next message, and of the peer's. */
  readonly nextSequence: number;
  readonly nextRemoteSequence: number;
  /** A flight of ours is on its way. */
  readonly isBusy: boolean;
}

/**
 * What is said after a handshake of DTLS 1.3: KeyUpdate, in both directions (RFC 9147 §8), one of each at a time. Everything else is acknowledged, so
 * that the peer does not repeat it, and means nothing here (tickets: there is no resumption).
 */
export class KeyUpdates {
  readonly #link: HandshakeLink;
  #localSecret: Buffer;
  #remoteSecret: Buffer;
  #localEpoch = FIRST_EPOCH;
  #remoteEpoch = FIRST_EPOCH;
  #nextSequence: number;
  #nextRemoteSequence: number;
  #messages: MessageAssembler;
  /** Keys for records that were overtaken by a key update, and the newest. */
  #remoteKeys: RecordProtection[];
  #inFlight: 'update' | 'handshake' | undefined;
  #isWanted = false;

  constructor(link: HandshakeLink, options: KeyUpdatesOptions) {
    this.#link = link;
    this.#localSecret = options.localSecret;
    this.#remoteSecret = options.remoteSecret;
    this.#nextSequence = options.nextSequence;
    this.#nextRemoteSequence = options.nextRemoteSequence;
    this.#messages = new MessageAssembler(options.nextRemoteSequence);
    this.#inFlight = options.isBusy ? 'handshake' : undefined;
    this.#remoteKeys = [protectionFrom(this.#remoteSecret)];
    for (const keys of this.#remoteKeys) link.readWith(FIRST_EPOCH, keys);
    link.writeWith(FIRST_EPOCH, protectionFrom(this.#localSecret));
  }

  handleFragment(fragment: HandshakeFragment, source: FragmentSource): void {
    if (fragment.sequence > this.#nextRemoteSequence || this.#nextRemoteSequence > MAX_SEQUENCE) {
      this.#link.drop(); // it comes again, after the one before it
      return;
    }
    // A repetition says that our acknowledgement got lost.
    if (fragment.sequence < this.#nextRemoteSequence) {
      this.#link.acknowledge([source]);
      return;
    }
    const message = this.#messages.add(fragment, source.datagram);
    if (message === 'refused') {
      this.#link.drop();
      return;
    }
    this.#link.acknowledge([source]);
    if (!message) return;
    this.#nextRemoteSequence += 1;
    this.#messages = new MessageAssembler(this.#nextRemoteSequence);
    const isRequested = message.type === HandshakeType.keyUpdate ? parseKeyUpdate(message.body) : undefined;
    if (isRequested === undefined) return;
    this.#updateRemote();
    if (isRequested) this.#send(false);
  }

  /** All of our flight was acknowledged: the peer can read what the new keys protect. */
  handleAcknowledged(): void {
    if (this.#inFlight === 'update') {
      this.#localSecret = nextSecret(this.#localSecret);
      this.#localEpoch += 1;
      this.#link.writeWith(this.#localEpoch, protectionFrom(this.#localSecret));
    }
    this.#inFlight = undefined;
    this.#link.settle();
    if (this.#isWanted) this.#send(false);
  }

  /** New keys for both directions. */
  start(): void {
    if (this.#inFlight === undefined) this.#send(true);
  }

  /** Requests that come while one is answered are answered by one more. */
  #send(isRequested: boolean): void {
    this.#isWanted = this.#inFlight !== undefined;
    if (this.#isWanted || this.#nextSequence > MAX_SEQUENCE) return;
    this.#inFlight = 'update';
    const message = { type: HandshakeType.keyUpdate, sequence: this.#nextSequence++, body: writeKeyUpdate(isRequested) };
    this.#link.send([{ type: 'handshake', epoch: this.#localEpoch, message }], true);
  }

  #updateRemote(): void {
    this.#remoteSecret = nextSecret(this.#remoteSecret);
    this.#remoteEpoch += 1;
    const keys = protectionFrom(this.#remoteSecret);
    this.#link.readWith(this.#remoteEpoch, keys);
    const [older] = this.#remoteKeys.length > 1 ? this.#remoteKeys : [];
    if (older) this.#link.forget(older);
    this.#remoteKeys = [...this.#remoteKeys.slice(-1), keys];
  }
}
