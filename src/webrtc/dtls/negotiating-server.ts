import type { FragmentSource, Handshake, HandshakeLink, HandshakeSettings } from './handshake.ts';
import { type HandshakeFragment, HandshakeType } from './handshake-message.ts';
import { offers, parseClientHello } from './hello.ts';
import { MessageAssembler } from './message-assembler.ts';
import { DTLS_1_3 } from './record.ts';
import { ServerHandshake } from './server-handshake.ts';
import { Tls13Server } from './tls13-server.ts';

/**
 * A server of both versions. ICE has proved the peer's address, so its first ClientHello is answered at once, in 1.3 when the client speaks it.
 * A stranger may have sent that one: the sender of a second, different hello is asked to show that it can read our answers, and whoever can
 * replaces the first.
 */
export class NegotiatingServer implements Handshake {
  readonly #link: HandshakeLink;
  readonly #tls12: ServerHandshake | undefined;
  readonly #tls13: Tls13Server | undefined;
  readonly #hellos = new MessageAssembler(0);

  constructor(settings: HandshakeSettings, link: HandshakeLink) {
    this.#link = link;
    this.#tls12 = settings.versions.includes('1.2') ? new ServerHandshake(settings, link) : undefined;
    this.#tls13 = settings.versions.includes('1.3') ? new Tls13Server(settings, link) : undefined;
  }

  start(): void {
    // The client speaks first.
  }

  handleFragment(fragment: HandshakeFragment, source: FragmentSource): void {
    if (source.epoch > 1) this.#tls13?.handleFragment(fragment, source);
    else if (source.epoch === 0 && fragment.type === HandshakeType.clientHello) this.#handleHello(fragment, source.datagram);
    else if (this.#tls12) this.#tls12.handleFragment(fragment, source);
    else this.#link.drop();
  }

  endOfDatagram(): void {
    this.#tls12?.endOfDatagram();
  }

  handleSilence(): boolean {
    return false;
  }

  acknowledge(): void {
    this.#tls13?.acknowledge();
  }

  handleAcknowledged(): void {
    this.#tls13?.handleAcknowledged();
  }

  updateKeys(): void {
    // There is nothing to update in 1.2, and nothing yet in 1.3.
  }

  #handleHello(fragment: HandshakeFragment, datagram: number): void {
    if (this.#tls12?.isDecided || this.#tls13?.isDecided) return;
    if (this.#tls12?.isRepetition(fragment) || this.#tls13?.isRepetition(fragment)) {
      if (fragment.offset + fragment.bytes.length === fragment.length) this.#link.resend();
      return;
    }
    const message = this.#hellos.add(fragment, datagram);
    if (message === 'refused') this.#link.drop();
    if (!message || message === 'refused') return;
    this.#hellos.discard(message);
    const hello = parseClientHello(message.body);
    const isFirst = !this.#tls12?.hasAnswered && !this.#tls13?.hasAnswered;
    const answer = hello && offers(hello, DTLS_1_3) && this.#tls13?.prepare(hello);
    if (answer) this.#tls13?.handleHello(message, answer, isFirst);
    else if (this.#tls12) this.#tls12.handleHello(message, hello, isFirst);
    else {
      this.#link.drop();
      this.#link.suspect('parameters', false);
    }
  }
}
