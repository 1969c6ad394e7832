import type { FragmentSource, Handshake, HandshakeLink } from './handshake.ts';
import { type HandshakeFragment, HandshakeType } from './handshake-message.ts';
import type { DtlsRole } from './key-schedule.ts';
import { KeyUpdates, type KeyUpdatesOptions } from './key-updates.ts';

/** The epoch of the handshake's own keys (RFC 9147 §6.1). */
const HANDSHAKE_EPOCH = 2;

/**
 * What is left of a handshake of DTLS 1.3 once it is done: repetitions of its last flights, and key updates. The handshake itself (transcripts,
 * certificates, shares, messages in pieces) is let go, which is half of what a connection weighs.
 */
export class Tls13Afterwards implements Handshake {
  readonly #link: HandshakeLink;
  readonly #role: DtlsRole;
  readonly #updates: KeyUpdates;
  #hasFlight: boolean;

  constructor(link: HandshakeLink, role: DtlsRole, secrets: Omit<KeyUpdatesOptions, 'isBusy'>) {
    this.#link = link;
    this.#role = role;
    // A client's last flight has yet to be acknowledged; a server's is answered.
    this.#hasFlight = role === 'client';
    this.#updates = new KeyUpdates(link, { ...secrets, isBusy: this.#hasFlight });
  }

  start(): void {
    // It was started long ago.
  }

  handleFragment(fragment: HandshakeFragment, source: FragmentSource): void {
    if (source.epoch > HANDSHAKE_EPOCH) this.#updates.handleFragment(fragment, source);
    // The client repeats its flight: our acknowledgement got lost.
    else if (this.#role === 'server') this.#link.acknowledge([source]);
    // The server repeats its flight: it does not have ours.
    else if (fragment.type === HandshakeType.finished) this.#link.resend();
  }

  endOfDatagram(): void {
    // Nothing waits for that.
  }

  handleSilence(): boolean {
    return false;
  }

  acknowledge(): void {
    // Each message is acknowledged when it comes.
  }

  handleAcknowledged(): void {
    if (this.#hasFlight) this.#link.retire(HANDSHAKE_EPOCH);
    this.#hasFlight = false;
    this.#updates.handleAcknowledged();
  }

  updateKeys(): void {
    this.#updates.start();
  }
}
