import { ClientHandshake } from './client-handshake.ts';
import { ClientOffer } from './client-offer.ts';
import type { FragmentSource, Handshake, HandshakeLink, HandshakeSettings } from './handshake.ts';
import { type HandshakeFragment, HandshakeType } from './handshake-message.ts';
import { parseServerHello } from './hello.ts';
import { MessageAssembler } from './message-assembler.ts';
import { Tls13Client } from './tls13-client.ts';
import { chosenTls13 } from './tls13-messages.ts';

/**
 * A client of both versions: one hello, which a server of either can answer. Nobody vouches for the answer before it is signed, so both stay
 * possible until one of them proves true.
 */
export class NegotiatingClient implements Handshake {
  readonly #link: HandshakeLink;
  readonly #offer: ClientOffer;
  readonly #tls12: ClientHandshake | undefined;
  readonly #tls13: Tls13Client | undefined;
  readonly #hellos = new MessageAssembler(0);

  constructor(settings: HandshakeSettings, link: HandshakeLink) {
    this.#link = link;
    this.#offer = new ClientOffer(settings);
    this.#tls12 = this.#offer.speaks('1.2') ? new ClientHandshake(settings, link, this.#offer) : undefined;
    this.#tls13 = this.#offer.speaks('1.3') ? new Tls13Client(settings, link, this.#offer) : undefined;
  }

  start(): void {
    const message = this.#offer.next();
    this.#tls12?.start(message);
    this.#tls13?.start(message);
    this.#link.send([{ type: 'handshake', epoch: 0, message }], true);
  }

  handleFragment(fragment: HandshakeFragment, source: FragmentSource): void {
    if (source.epoch > 1) this.#tls13?.handleFragment(fragment, source);
    else if (this.#tls13 && source.epoch === 0 && fragment.type === HandshakeType.serverHello) this.#handleHello(fragment, source);
    else if (this.#tls12) this.#tls12.handleFragment(fragment, source);
    else this.#link.drop();
  }

  endOfDatagram(): void {
    this.#tls12?.endOfDatagram();
  }

  handleSilence(): boolean {
    return this.#tls13?.handleSilence() || this.#tls12?.handleSilence() || false;
  }

  acknowledge(): void {
    this.#tls13?.acknowledge();
  }

  handleAcknowledged(): void {
    // Our last flight ends the handshake: whoever is told of its arrival comes after it.
  }

  updateKeys(): void {
    // There is nothing to update in 1.2, and nothing yet in 1.3.
  }

  /** A ServerHello tells its version only when it is whole. */
  #handleHello(fragment: HandshakeFragment, source: FragmentSource): void {
    const message = this.#hellos.add(fragment, source.datagram);
    if (message === 'refused') this.#link.drop();
    if (message === 'refused') return;
    // Seen before: 1.2 learns from a repetition that its answer got lost, 1.3 from what comes with it.
    const whole = message ?? this.#hellos.latest(fragment.sequence);
    const hello = whole && parseServerHello(whole.body);
    if (!whole || !hello) return;
    if (!chosenTls13(hello)) this.#tls12?.handleFragment({ ...whole, length: whole.body.length, offset: 0, bytes: whole.body }, source);
    else if (message) this.#tls13?.handleHello(message, hello, source);
  }
}
