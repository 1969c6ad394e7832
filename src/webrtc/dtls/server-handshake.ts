import type { Fingerprint } from './fingerprint.ts';
import type { FlightPart } from './flight.ts';
import type { FragmentSource, HandshakeLink, HandshakeSettings } from './handshake.ts';
import { type HandshakeFragment, HandshakeType, wholeMessage } from './handshake-message.ts';
import { type ClientHello, RANDOM_BYTES, writeServerHello } from './hello.ts';
import { isSame, type KeySchedule, Tls12KeySchedule } from './key-schedule.ts';
import { createKeyShare, type KeyShare } from './key-share.ts';
import { MessageAssembler, type ReceivedMessage } from './message-assembler.ts';
import {
  parseCertificate,
  parseCertificateVerify,
  parseClientKeyExchange,
  writeCertificate,
  writeCertificateRequest,
  writeHelloVerifyRequest,
  writeKeyParameters,
  writeSigned,
} from './messages.ts';
import { PeerCertificates } from './peer-certificate.ts';
import { DTLS_1_2 } from './record.ts';
import { chooseServerParameters, type ServerParameters } from './server-parameters.ts';
import { signWith, verifyWith } from './signature.ts';
import { DOWNGRADE_SENTINEL } from './tls13-messages.ts';

/** Our answer to one ClientHello, and what came in reply to it. */
interface Attempt {
  readonly hello: ReceivedMessage;
  readonly clientRandom: Buffer;
  readonly serverRandom: Buffer;
  readonly parameters: ServerParameters;
  readonly share: KeyShare;
  /** Number of the next message of ours. */
  readonly nextSequence: number;
  readonly transcript: readonly Buffer[];
  readonly messages: MessageAssembler;
}

/** The client proved who it is; its Finished is missing. */
interface Expected {
  readonly sequence: number;
  readonly transcript: Buffer[];
  readonly schedule: KeySchedule;
  readonly fingerprint: Fingerprint;
  readonly messages: MessageAssembler;
}

const COOKIE_BYTES = 16;

/**
 * Server side of the DTLS 1.2 handshake. ICE has proved the peer's address, so its first ClientHello is answered at once.
 * Only when a second, different one comes up is the sender asked to show that it can read our answers (HelloVerifyRequest);
 * the one that can replaces the first.
 */
export class ServerHandshake {
  readonly #settings: HandshakeSettings;
  readonly #link: HandshakeLink;
  /** The same for whoever asks: only the peer gets to read it. */
  readonly #cookie: Buffer;
  #attempt: Attempt | undefined;
  readonly #certificates: PeerCertificates;
  #newest = 0;
  #judged = 0;
  #expected: Expected | undefined;
  /** Number of the client's Finished, once everything is done: its repetition asks for ours again. */
  #finishedAt: number | undefined;

  constructor(settings: HandshakeSettings, link: HandshakeLink) {
    this.#settings = settings;
    this.#link = link;
    this.#certificates = new PeerCertificates(settings.remoteFingerprints, parseCertificate);
    this.#cookie = settings.randomBytes(COOKIE_BYTES);
  }

  /** A hello was answered, and not yet in vain. */
  get hasAnswered(): boolean {
    return this.#attempt !== undefined;
  }

  /** What is missing comes protected. */
  get isDecided(): boolean {
    return this.#expected !== undefined || this.#finishedAt !== undefined;
  }

  handleFragment(fragment: HandshakeFragment, { epoch, datagram }: FragmentSource): void {
    if (epoch > 0) this.#handleFinished(fragment, datagram);
    else if (!this.isDecided) this.#handleFlightFragment(fragment, datagram);
  }

  endOfDatagram(): void {
    const attempt = this.#attempt;
    if (!attempt || this.#expected || this.#newest === this.#judged) return;
    this.#findFlight(attempt);
    this.#judged = this.#newest;
  }

  /** Is this a piece of the hello that was answered? Then the client did not get the answer. */
  isRepetition(fragment: HandshakeFragment): boolean {
    return this.#attempt !== undefined && isPieceOf(this.#attempt.hello, fragment);
  }

  /** @param isFirst no other hello was answered; only such a one needs no cookie */
  handleHello(message: ReceivedMessage, hello: ClientHello | undefined, isFirst: boolean): void {
    if (this.isDecided) return;
    const parameters = hello && chooseServerParameters(hello, this.#settings);
    if (!parameters) {
      this.#link.drop();
      this.#link.suspect('parameters', false);
    } else if (isFirst || isSame(hello.cookie, this.#cookie)) this.#begin(message, hello, parameters);
    else this.#askForCookie();
  }

  /** Not a flight: it is not repeated, and what was sent before stays what is repeated. */
  #askForCookie(): void {
    this.#link.drop();
    const body = writeHelloVerifyRequest(this.#cookie);
    this.#link.sendOnce({ type: HandshakeType.helloVerifyRequest, sequence: 0, body });
  }

  /** ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone. */
  #begin(helloMessage: ReceivedMessage, hello: ClientHello, parameters: ServerParameters): void {
    const { identity, randomBytes } = this.#settings;
    const serverRandom = randomBytes(RANDOM_BYTES);
    // RFC 8446 §4.1.3: whoever took 1.3 out of the client's hello is found out by the client.
    if (this.#settings.versions.includes('1.3')) DOWNGRADE_SENTINEL.copy(serverRandom, RANDOM_BYTES - DOWNGRADE_SENTINEL.length);
    const share = createKeyShare(parameters.group);
    const keyParameters = writeKeyParameters(share.group, share.publicKey);
    const signed = Buffer.concat([hello.random, serverRandom, keyParameters]);
    const signature = signWith(parameters.scheme, identity.privateKey, signed);
    const serverHello = writeServerHello({
      version: DTLS_1_2,
      random: serverRandom,
      sessionId: Buffer.alloc(0),
      cipherSuite: parameters.cipherSuite,
      compression: 0,
      extensions: parameters.extensions,
    });
    // RFC 6347 §4.2.2: the answer to a hello with a cookie takes up the count after the HelloVerifyRequest.
    let sequence = helloMessage.sequence;
    const transcript = [wholeMessage(helloMessage)];
    const parts: FlightPart[] = [];
    const say = (type: number, body: Buffer) => {
      const message = { type, sequence: sequence++, body };
      transcript.push(wholeMessage(message));
      parts.push({ type: 'handshake', epoch: 0, message });
    };
    say(HandshakeType.serverHello, serverHello);
    say(HandshakeType.certificate, writeCertificate(identity.certificate));
    say(HandshakeType.serverKeyExchange, writeSigned(keyParameters, parameters.scheme, signature));
    say(HandshakeType.certificateRequest, writeCertificateRequest());
    say(HandshakeType.serverHelloDone, Buffer.alloc(0));
    this.#attempt = {
      hello: helloMessage,
      clientRandom: hello.random,
      serverRandom,
      parameters,
      share,
      nextSequence: sequence,
      transcript,
      messages: new MessageAssembler(helloMessage.sequence + 1),
    };
    this.#newest = 0;
    this.#judged = 0;
    this.#link.send(parts, true);
  }

  #handleFlightFragment(fragment: HandshakeFragment, datagram: number): void {
    const message = this.#attempt ? this.#attempt.messages.add(fragment, datagram) : 'refused';
    if (message === 'refused') this.#link.drop();
    else if (message) this.#newest = message.number;
  }

  /** Looks for versions of Certificate, ClientKeyExchange and CertificateVerify that fit; only with a message not judged before. */
  #findFlight(attempt: Attempt): void {
    const first = attempt.hello.sequence + 1;
    const at = (offset: number, type: number) => attempt.messages.candidates(first + offset, type);
    for (const verify of at(2, HandshakeType.certificateVerify)) {
      for (const exchange of at(1, HandshakeType.clientKeyExchange)) {
        for (const certificate of at(0, HandshakeType.certificate)) {
          const messages = [certificate, exchange, verify];
          if (messages.every(({ number }) => number <= this.#judged)) continue;
          if (this.#judge(attempt, certificate, exchange, verify)) return;
        }
      }
    }
  }

  /** @returns whether the search is over */
  #judge(attempt: Attempt, certificate: ReceivedMessage, exchange: ReceivedMessage, verifyMessage: ReceivedMessage): boolean {
    const { key, fingerprint } = this.#certificates.read(certificate);
    const verify = parseCertificateVerify(verifyMessage.body);
    const publicKey = parseClientKeyExchange(exchange.body);
    if (!verify || !publicKey) return this.#refuse();
    if (!key) return this.#refuse('certificate');
    const transcript = [...attempt.transcript, wholeMessage(certificate), wholeMessage(exchange)];
    if (!verifyWith(verify.scheme, key, Buffer.concat(transcript), verify.signature)) return this.#refuse('signature');
    if (!fingerprint) return this.#refuse('fingerprint', true);
    this.#link.trust();
    const secret = attempt.share.agree(publicKey);
    if (!secret) {
      this.#link.fail('parameters'); // signed by the peer, so it is the peer's own fault
      return true;
    }
    const schedule = new Tls12KeySchedule(secret, transcript, attempt.clientRandom, attempt.serverRandom);
    transcript.push(wholeMessage(verifyMessage));
    const sequence = verifyMessage.sequence + 1;
    this.#expected = { sequence, transcript, schedule, fingerprint, messages: new MessageAssembler(sequence) };
    this.#link.install(1, schedule.protectionOf('server'), schedule.protectionOf('client'));
    return true;
  }

  #refuse(reason?: 'certificate' | 'signature' | 'fingerprint', isLive = false): false {
    this.#link.drop();
    if (reason) this.#link.suspect(reason, isLive);
    return false;
  }

  #handleFinished(fragment: HandshakeFragment, datagram: number): void {
    const expected = this.#expected;
    const attempt = this.#attempt;
    if (fragment.type === HandshakeType.finished && fragment.sequence === this.#finishedAt) {
      this.#link.resend();
      return;
    }
    if (!expected || !attempt || fragment.type !== HandshakeType.finished || fragment.sequence !== expected.sequence) {
      this.#link.drop();
      return;
    }
    const message = expected.messages.add(fragment, datagram);
    if (!message || message === 'refused') return;
    const { schedule, transcript, fingerprint } = expected;
    if (!isSame(message.body, schedule.finishedOf('client', transcript))) {
      this.#link.fail('finished');
      return;
    }
    transcript.push(wholeMessage(message));
    const finished = { type: HandshakeType.finished, sequence: attempt.nextSequence, body: schedule.finishedOf('server', transcript) };
    this.#finishedAt = expected.sequence;
    this.#attempt = undefined;
    this.#expected = undefined;
    this.#link.send(
      [
        { type: 'change-cipher-spec', epoch: 0 },
        { type: 'handshake', epoch: 1, message: finished },
      ],
      false,
    );
    this.#link.connected({ version: '1.2', schedule, srtpProfile: attempt.parameters.profile, remoteFingerprint: fingerprint });
  }
}

/** Says the fragment the same as the message does in that place? */
export function isPieceOf(message: ReceivedMessage, { sequence, length, offset, bytes }: HandshakeFragment): boolean {
  if (message.sequence !== sequence || message.body.length !== length) return false;
  return message.body.subarray(offset, offset + bytes.length).equals(bytes);
}
