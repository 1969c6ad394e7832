import { type SrtpProfile, srtpProfileOf } from '../srtp/profile.ts';
import type { ClientOffer } from './client-offer.ts';
import type { Fingerprint } from './fingerprint.ts';
import type { FlightPart } from './flight.ts';
import type { FragmentSource, HandshakeLink, HandshakeSettings } from './handshake.ts';
import { type HandshakeFragment, type HandshakeMessage, HandshakeType, wholeMessage } from './handshake-message.ts';
import { CipherSuite, ExtensionType, parseServerHello, readUseSrtp, type ServerHello } from './hello.ts';
import { isSame, type KeySchedule, Tls12KeySchedule } from './key-schedule.ts';
import { createKeyShare, isGroup } from './key-share.ts';
import { MessageAssembler, type ReceivedMessage } from './message-assembler.ts';
import {
  parseCertificate,
  parseCertificateRequest,
  parseHelloVerifyRequest,
  parseServerKeyExchange,
  type ServerKeyExchange,
  writeCertificate,
  writeCertificateVerify,
  writeClientKeyExchange,
} from './messages.ts';
import { PeerCertificates } from './peer-certificate.ts';
import { DTLS_1_2 } from './record.ts';
import { chooseScheme, signWith, verifyWith } from './signature.ts';
import { DOWNGRADE_SENTINEL } from './tls13-messages.ts';

/** A server flight whose signature is right: hello and key exchange are the peer's own. */
interface ServerFlight {
  readonly hello: ServerHello;
  readonly profile: SrtpProfile;
  readonly exchange: ServerKeyExchange;
  readonly fingerprint: Fingerprint;
  readonly messages: readonly ReceivedMessage[];
  readonly request: ReceivedMessage;
}

/** The first hello and three with cookies: a server asks for one, anybody can ask for more. */
const MAX_HELLOS = 4;
/** Our answer is made anew when the certificate request turns out to be another; forged ones shall not have it made for ever. */
const MAX_ANSWERS = 4;

/** Finished, for which we wait, and what follows from it. */
interface Expected {
  readonly sequence: number;
  readonly verifyData: Buffer;
  readonly schedule: KeySchedule;
  readonly flight: ServerFlight;
  readonly messages: MessageAssembler;
}

/** Client side of the DTLS 1.2 handshake (RFC 6347 §4.2, RFC 8422, RFC 7627, RFC 5764): mutual certificates, one round trip and a half. */
export class ClientHandshake {
  readonly #settings: HandshakeSettings;
  readonly #link: HandshakeLink;
  readonly #offer: ClientOffer;
  /** By message number: the first, and one for each cookie that the server asked for. */
  readonly #hellos: HandshakeMessage[] = [];
  readonly #messages = new MessageAssembler(0);
  readonly #certificates: PeerCertificates;
  #newest = 0;
  #judged = 0;
  /** From a HelloVerifyRequest. */
  #cookie: Buffer | undefined;
  #answers = 0;
  /** The server repeated the last message of its flight in this datagram. */
  #isRepeated = false;
  #expected: Expected | undefined;

  constructor(settings: HandshakeSettings, link: HandshakeLink, offer: ClientOffer) {
    this.#settings = settings;
    this.#link = link;
    this.#offer = offer;
    this.#certificates = new PeerCertificates(settings.remoteFingerprints, parseCertificate);
  }

  /** @param hello as it was sent */
  start(hello: HandshakeMessage): void {
    this.#hellos.push(hello);
  }

  handleFragment(fragment: HandshakeFragment, { epoch, datagram }: Pick<FragmentSource, 'epoch' | 'datagram'>): void {
    if (epoch > 0) {
      this.#handleFinished(fragment, datagram);
      return;
    }
    if (fragment.type === HandshakeType.helloVerifyRequest) {
      this.#handleVerifyRequest(fragment);
      return;
    }
    if (this.#expected && fragment.type === HandshakeType.serverHelloDone) this.#isRepeated = true;
    const message = this.#messages.add(fragment, datagram);
    if (message === 'refused') this.#link.drop();
    else if (message) this.#newest = message.number;
  }

  endOfDatagram(): void {
    if (this.#expected) {
      if (this.#isRepeated) this.#handleRepetition(this.#expected.flight);
      this.#isRepeated = false;
      return;
    }
    if (this.#newest === this.#judged) return;
    const flight = this.#findFlight();
    this.#judged = this.#newest;
    if (flight) this.#answer(flight);
  }

  /**
   * A HelloVerifyRequest is answered no sooner than now: a stranger can send one, but cannot keep the server's true answer
   * from coming, and a server that has answered would take a second hello for a fault.
   */
  handleSilence(): boolean {
    const cookie = this.#cookie;
    if (!cookie || this.#expected || this.#hellos.length >= MAX_HELLOS || this.#offer.sent !== this.#hellos.length) return false;
    this.#cookie = undefined;
    const message = this.#offer.next({ verifyCookie: cookie });
    this.#hellos.push(message);
    this.#link.send([{ type: 'handshake', epoch: 0, message }], true);
    return true;
  }

  #handleVerifyRequest(fragment: HandshakeFragment): void {
    const isWhole = fragment.offset === 0 && fragment.bytes.length === fragment.length;
    const cookie = isWhole && fragment.sequence === 0 ? parseHelloVerifyRequest(fragment.bytes) : undefined;
    if (cookie) this.#cookie = cookie;
    else this.#link.drop();
  }

  /** Looks for versions of the server's messages that fit together; only such that include a message not judged before. */
  #findFlight(): ServerFlight | undefined {
    for (const { sequence: first } of this.#hellos.toReversed()) {
      const at = (offset: number, type: number) => this.#messages.candidates(first + offset, type);
      const requests = at(3, HandshakeType.certificateRequest);
      const dones = at(4, HandshakeType.serverHelloDone).filter(({ body }) => body.length === 0);
      const done = dones[0];
      if (!done) continue;
      for (const exchange of at(2, HandshakeType.serverKeyExchange)) {
        const request = likeliestRequest(requests, exchange);
        if (!request) continue;
        for (const certificate of at(1, HandshakeType.certificate)) {
          for (const hello of at(0, HandshakeType.serverHello)) {
            const messages = [hello, certificate, exchange, request, done];
            if (messages.every(({ number }) => number <= this.#judged)) continue;
            const flight = this.#judge(messages, hello, certificate, exchange, request);
            if (flight) return flight;
          }
        }
      }
    }
    return undefined;
  }

  #judge(
    messages: readonly ReceivedMessage[],
    helloMessage: ReceivedMessage,
    certificateMessage: ReceivedMessage,
    exchangeMessage: ReceivedMessage,
    request: ReceivedMessage,
  ): ServerFlight | undefined {
    const hello = parseServerHello(helloMessage.body);
    const exchange = parseServerKeyExchange(exchangeMessage.body);
    if (!hello || !exchange) return this.#refuse();
    const profile = this.#profileOf(hello);
    if (!profile || !isGroup(exchange.group)) return this.#refuse('parameters');
    const { key, fingerprint } = this.#certificates.read(certificateMessage);
    const keyType = hello.cipherSuite === CipherSuite.ecdheEcdsaAes128Gcm ? 'ec' : 'rsa';
    if (key?.asymmetricKeyType !== keyType) return this.#refuse('certificate');
    const signed = Buffer.concat([this.#offer.random, hello.random, exchange.parameters]);
    if (!verifyWith(exchange.scheme, key, signed, exchange.signature)) return this.#refuse('signature');
    if (!fingerprint) return this.#refuse('fingerprint', true);
    // It speaks 1.3, saw that we do, and yet chose 1.2: so it saw another hello than ours.
    if (this.#offer.speaks('1.3') && hello.random.subarray(-DOWNGRADE_SENTINEL.length).equals(DOWNGRADE_SENTINEL))
      return this.#refuse('parameters', true);
    return { hello, profile, exchange, fingerprint, messages, request };
  }

  #refuse(reason?: 'parameters' | 'certificate' | 'signature' | 'fingerprint', isLive = false): undefined {
    this.#link.drop();
    if (reason) this.#link.suspect(reason, isLive);
  }

  /** The SRTP profile that a ServerHello chose, when all of the hello is what we offered. */
  #profileOf(hello: ServerHello): SrtpProfile | undefined {
    const { extensions, cipherSuite } = hello;
    const isOurs = cipherSuite === CipherSuite.ecdheEcdsaAes128Gcm || cipherSuite === CipherSuite.ecdheRsaAes128Gcm;
    if (hello.version !== DTLS_1_2 || !isOurs || hello.compression !== 0) return undefined;
    if (!extensions.has(ExtensionType.extendedMasterSecret)) return undefined;
    const renegotiation = extensions.get(ExtensionType.renegotiationInfo);
    if (renegotiation && !renegotiation.equals(Buffer.of(0))) return undefined;
    const srtp = readUseSrtp(extensions);
    if (srtp?.profiles.length !== 1 || srtp.mki.length > 0) return undefined;
    const profile = srtpProfileOf(srtp.profiles[0] ?? 0);
    return profile && this.#settings.srtpProfiles.includes(profile) ? profile : undefined;
  }

  /** Certificate, ClientKeyExchange, CertificateVerify, Finished. */
  #answer(flight: ServerFlight): void {
    const { identity } = this.#settings;
    const { hello, exchange } = flight;
    this.#link.trust();
    const scheme = chooseScheme(identity.privateKey, parseCertificateRequest(flight.request.body) ?? []);
    const share = isGroup(exchange.group) ? createKeyShare(exchange.group) : undefined;
    const secret = share?.agree(exchange.publicKey);
    if (scheme === undefined || !share || !secret) {
      this.#refuse('parameters');
      return;
    }
    this.#answers += 1;
    const first = flight.messages[0]?.sequence ?? 0;
    let sequence = first + 1;
    const transcript = [this.#hellos[first]!, ...flight.messages].map(wholeMessage);
    const parts: FlightPart[] = [];
    const say = (type: number, body: Buffer, epoch = 0) => {
      const message = { type, sequence: sequence++, body };
      transcript.push(wholeMessage(message));
      parts.push({ type: 'handshake', epoch, message });
    };
    say(HandshakeType.certificate, writeCertificate(identity.certificate));
    say(HandshakeType.clientKeyExchange, writeClientKeyExchange(share.publicKey));
    const schedule = new Tls12KeySchedule(secret, transcript, this.#offer.random, hello.random);
    const signature = signWith(scheme, identity.privateKey, Buffer.concat(transcript));
    say(HandshakeType.certificateVerify, writeCertificateVerify(scheme, signature));
    parts.push({ type: 'change-cipher-spec', epoch: 0 });
    say(HandshakeType.finished, schedule.finishedOf('client', transcript), 1);
    const verifyData = schedule.finishedOf('server', transcript);
    const finishedAt = first + flight.messages.length;
    this.#expected = { sequence: finishedAt, verifyData, schedule, flight, messages: new MessageAssembler(finishedAt) };
    this.#link.install(1, schedule.protectionOf('client'), schedule.protectionOf('server'));
    this.#link.send(parts, true);
  }

  /**
   * The server did not like our answer, or did not get it. A certificate request is signed by nobody, so the one that we
   * answered may have been a stranger's; another one counts only when it comes together with the message that is signed.
   */
  #handleRepetition(flight: ServerFlight): void {
    const [, , exchange] = flight.messages;
    const requests = this.#messages.candidates(flight.request.sequence, HandshakeType.certificateRequest);
    const request = requests.find(({ datagram }) => datagram === exchange?.datagram);
    if (!request || request.body.equals(flight.request.body) || this.#answers >= MAX_ANSWERS) {
      this.#link.resend();
      return;
    }
    this.#answer({ ...flight, request, messages: flight.messages.map((each) => (each === flight.request ? request : each)) });
  }

  #handleFinished(fragment: HandshakeFragment, datagram: number): void {
    const expected = this.#expected;
    if (!expected || fragment.type !== HandshakeType.finished || fragment.sequence !== expected.sequence) {
      this.#link.drop();
      return;
    }
    const message = expected.messages.add(fragment, datagram);
    if (!message || message === 'refused') return;
    const { schedule, flight } = expected;
    if (!isSame(message.body, expected.verifyData)) this.#link.fail('finished');
    else this.#link.connected({ version: '1.2', schedule, srtpProfile: flight.profile, remoteFingerprint: flight.fingerprint });
  }
}

/** The certificate request that came together with the signed message; when none did, the one that came last. */
function likeliestRequest(requests: readonly ReceivedMessage[], exchange: ReceivedMessage): ReceivedMessage | undefined {
  const [latest] = requests.toSorted((one, other) => other.datagram - one.datagram);
  return requests.find(({ datagram }) => datagram === exchange.datagram) ?? latest;
}
