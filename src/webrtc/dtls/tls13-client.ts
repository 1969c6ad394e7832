import { type SrtpProfile, srtpProfileOf } from '../srtp/profile.ts';
import type { ClientOffer } from './client-offer.ts';
import { MAX_AGREEMENTS } from './client-offer.ts';
import type { FlightPart } from './flight.ts';
import type { DtlsFailure, FragmentSource, HandshakeLink, HandshakeSettings } from './handshake.ts';
import { type HandshakeFragment, type HandshakeMessage, HandshakeType, tlsMessage } from './handshake-message.ts';
import { CipherSuite, readUseSrtp, type ServerHello } from './hello.ts';
import { isSame } from './key-schedule.ts';
import { createKeyShare, isGroup, type KeyShare } from './key-share.ts';
import { MessageAssembler, type ReceivedMessage } from './message-assembler.ts';
import { writeCertificateVerify } from './messages.ts';
import { PeerCertificates } from './peer-certificate.ts';
import { DTLS_1_2 } from './record.ts';
import type { RecordNumber } from './record-protection.ts';
import { chooseTls13Scheme, signWith } from './signature.ts';
import { Tls13Afterwards } from './tls13-afterwards.ts';
import { Tls13KeySchedule, transcriptHash } from './tls13-key-schedule.ts';
import {
  parseEncryptedExtensions,
  parseTls13Certificate,
  parseTls13CertificateRequest,
  RETRY_RANDOM,
  type Retry,
  readRetry,
  readServerShare,
  signedContent,
  writeTls13Certificate,
} from './tls13-messages.ts';
import { type Tls13Proof, takeProof } from './tls13-proof.ts';
import type { Tls13Protection } from './tls13-protection.ts';

/** ServerHellos that stand side by side until one of them proves true. */
const MAX_ATTEMPTS = 4;
/** Records of one flight whose arrival is told to the server. */
const MAX_RECEIVED = 32;

/** One ServerHello, and what came under its keys. Its sender may be anybody who has read our hello. */
interface Attempt extends Tls13Proof {
  readonly schedule: Tls13KeySchedule;
  readonly local: Tls13Protection;
  readonly remote: Tls13Protection;
  readonly transcript: Buffer[];
  readonly messages: MessageAssembler;
  /** The record that brought the hello, or its end, and those under its keys. */
  readonly received: RecordNumber[];
  /** message_seq of our next message: the hello that was answered has the number of its answer (RFC 9147 §5.2). */
  readonly nextSequence: number;
  /** message_seq of what is to come next, and its type. */
  next: number;
  expects: number;
  profile?: SrtpProfile;
  request?: { readonly context: Buffer; readonly scheme: number };
  certificate?: NonNullable<Tls13Proof['certificate']>;
}

/** What was asked for again, and how the second hello goes on from it (RFC 8446 §4.4.1). */
interface SecondHello {
  readonly share: KeyShare;
  readonly transcript: readonly Buffer[];
}

/** Client side of the DTLS 1.3 handshake (RFC 9147 §5): one round trip, then everything of ours may follow. */
export class Tls13Client {
  readonly #settings: HandshakeSettings;
  readonly #link: HandshakeLink;
  readonly #offer: ClientOffer;
  readonly #certificates: PeerCertificates;
  #attempts: Attempt[] = [];
  #first: HandshakeMessage | undefined;
  /** A HelloRetryRequest, not acted upon yet. */
  #retry: { readonly message: ReceivedMessage; readonly wanted: Retry } | undefined;
  #second: SecondHello | undefined;
  #agreements = 0;
  #isDone = false;

  constructor(settings: HandshakeSettings, link: HandshakeLink, offer: ClientOffer) {
    this.#settings = settings;
    this.#link = link;
    this.#offer = offer;
    this.#certificates = new PeerCertificates(settings.remoteFingerprints, parseTls13Certificate);
  }

  /** @param hello as it was sent */
  start(hello: HandshakeMessage): void {
    this.#first = hello;
  }

  /** A ServerHello that chose 1.3. Plain text: it counts when something comes that its keys protect. */
  handleHello(message: ReceivedMessage, hello: ServerHello, source: FragmentSource): void {
    if (this.#isDone) return;
    const isOurs = hello.version === DTLS_1_2 && hello.cipherSuite === CipherSuite.aes128GcmSha256 && hello.compression === 0;
    if (!isOurs) this.#link.drop();
    else if (hello.random.equals(RETRY_RANDOM)) this.#handleRetry(message, hello);
    else this.#begin(message, hello, source);
  }

  handleFragment(fragment: HandshakeFragment, source: FragmentSource): void {
    const attempt = this.#attempts.find(({ remote }) => remote === source.protection);
    const message = attempt?.messages.add(fragment, source.datagram);
    if (!attempt || message === 'refused') {
      this.#link.drop();
      return;
    }
    if (attempt.received.length < MAX_RECEIVED) attempt.received.push({ epoch: source.epoch, sequence: source.sequence });
    this.#link.awaitRest();
    for (let each = attempt.messages.latest(attempt.next); each; each = attempt.messages.latest(attempt.next)) {
      const fault = this.#judge(attempt, each);
      if (fault) {
        this.#giveUp(attempt, fault);
        return;
      }
      if (this.#isDone) return;
    }
  }

  /**
   * A HelloRetryRequest is answered no sooner than now: a stranger can send one, but cannot keep the server's true answer from coming, and a
   * server that has answered would take a second hello for a fault.
   */
  handleSilence(): boolean {
    if (!this.#retry || this.#second || this.#offer.sent !== 1 || this.#attempts.some(isAlive)) return false;
    const { message: retry, wanted } = this.#retry;
    const share = wanted.group !== undefined && isGroup(wanted.group) ? createKeyShare(wanted.group, MAX_AGREEMENTS) : this.#offer.share;
    const first = this.#first;
    if (!share || !first) return false;
    const message = this.#offer.next({ share, retryCookie: wanted.cookie });
    const hash = transcriptHash([tlsMessage(first)]);
    const transcript = [{ type: HandshakeType.messageHash, body: hash }, retry, message].map(tlsMessage);
    this.#second = { share, transcript };
    this.#link.send([{ type: 'handshake', epoch: 0, message }], true);
    return true;
  }

  /** In the epoch of the records: the keys of our side of it are those of the likeliest attempt. */
  acknowledge(): void {
    const attempt = this.#attempts.find(isAlive);
    if (!attempt || this.#isDone) return;
    this.#link.writeWith(2, attempt.local);
    this.#link.acknowledge(attempt.received);
  }

  #handleRetry(message: ReceivedMessage, hello: ServerHello): void {
    const wanted = readRetry(hello);
    // RFC 8446 §4.1.4: at most once, and not for the share that it has.
    const isSensible = wanted && (wanted.group === undefined || (isGroup(wanted.group) && wanted.group !== this.#offer.share?.group));
    if (!isSensible || message.sequence !== 0 || this.#second) this.#link.drop();
    else this.#retry = { message, wanted };
  }

  #begin(message: ReceivedMessage, hello: ServerHello, source: RecordNumber): void {
    const second = message.sequence > 0 ? this.#second : undefined;
    const share = second?.share ?? (message.sequence === 0 ? this.#offer.share : undefined);
    const first = this.#first;
    const theirs = readServerShare(hello.extensions);
    if (!first || !share || theirs?.group !== share.group || this.#agreements >= MAX_AGREEMENTS) {
      this.#link.drop();
      return;
    }
    this.#agreements += 1;
    const secret = share.agree(theirs.publicKey);
    if (!secret) {
      this.#link.drop();
      return;
    }
    const transcript = [...(second?.transcript ?? [tlsMessage(first)]), tlsMessage(message)];
    const schedule = new Tls13KeySchedule(secret, transcript);
    const attempt: Attempt = {
      schedule,
      local: schedule.protectionOf('client'),
      remote: schedule.protectionOf('server'),
      transcript,
      messages: new MessageAssembler(message.sequence + 1),
      received: [{ epoch: source.epoch, sequence: source.sequence }],
      nextSequence: message.sequence + 1,
      next: message.sequence + 1,
      expects: HandshakeType.encryptedExtensions,
    };
    this.#makeRoom();
    this.#attempts.push(attempt);
    this.#link.readWith(2, attempt.remote);
  }

  /** The one that said nothing under its keys goes, and of several the oldest. */
  #makeRoom(): void {
    if (this.#attempts.length < MAX_ATTEMPTS) return;
    const least = this.#attempts.find((each) => !isAlive(each)) ?? this.#attempts[0];
    if (least) this.#remove(least);
  }

  #remove(attempt: Attempt): void {
    this.#attempts = this.#attempts.filter((each) => each !== attempt);
    this.#link.forget(attempt.remote);
  }

  /** Who sent this has read our hello: it is the peer, or somebody who can read everything. */
  #giveUp(attempt: Attempt, fault: DtlsFailure): void {
    this.#remove(attempt);
    this.#link.drop();
    this.#link.suspect(fault, true);
  }

  /** Takes one message in its place. @returns what is wrong with it */
  #judge(attempt: Attempt, message: ReceivedMessage): DtlsFailure | undefined {
    if (message.type !== attempt.expects) return 'parameters';
    attempt.next += 1;
    switch (message.type) {
      case HandshakeType.encryptedExtensions: {
        const profile = this.#profileOf(message.body);
        if (!profile) return 'parameters';
        attempt.profile = profile;
        attempt.expects = HandshakeType.certificateRequest;
        break;
      }
      case HandshakeType.certificateRequest: {
        const request = parseTls13CertificateRequest(message.body);
        const scheme = request && chooseTls13Scheme(this.#settings.identity.privateKey, request.schemes);
        if (!request || scheme === undefined) return 'parameters';
        attempt.request = { context: request.context, scheme };
        attempt.expects = HandshakeType.certificate;
        break;
      }
      case HandshakeType.certificate: {
        const { key, fingerprint } = this.#certificates.read(message);
        if (!key) return 'certificate';
        attempt.certificate = { key, fingerprint };
        attempt.expects = HandshakeType.certificateVerify;
        break;
      }
      case HandshakeType.certificateVerify: {
        const fault = takeProof(attempt, 'server', message.body);
        if (fault) return fault;
        this.#link.trust();
        attempt.expects = HandshakeType.finished;
        break;
      }
      default: {
        if (!isSame(message.body, attempt.schedule.finishedOf('server', attempt.transcript))) return 'finished';
        attempt.transcript.push(tlsMessage(message));
        return this.#finish(attempt);
      }
    }
    attempt.transcript.push(tlsMessage(message));
    return undefined;
  }

  #profileOf(body: Buffer): SrtpProfile | undefined {
    const extensions = parseEncryptedExtensions(body);
    const srtp = extensions && readUseSrtp(extensions);
    if (srtp?.profiles.length !== 1 || srtp.mki.length > 0) return undefined;
    const profile = srtpProfileOf(srtp.profiles[0] ?? 0);
    return profile && this.#settings.srtpProfiles.includes(profile) ? profile : undefined;
  }

  /** Certificate, CertificateVerify, Finished. */
  #finish(attempt: Attempt): DtlsFailure | undefined {
    const { schedule, transcript, request, profile, fingerprint } = attempt;
    if (!request || !profile || !fingerprint) return 'parameters';
    const { identity } = this.#settings;
    const secrets = schedule.applicationSecrets(transcript);
    let sequence = attempt.nextSequence;
    const parts: FlightPart[] = [];
    const say = (type: number, body: Buffer) => {
      const message = { type, sequence: sequence++, body };
      transcript.push(tlsMessage(message));
      parts.push({ type: 'handshake', epoch: 2, message });
    };
    say(HandshakeType.certificate, writeTls13Certificate(identity.certificate, request.context));
    const signature = signWith(request.scheme, identity.privateKey, signedContent('client', transcriptHash(transcript)));
    say(HandshakeType.certificateVerify, writeCertificateVerify(request.scheme, signature));
    say(HandshakeType.finished, schedule.finishedOf('client', transcript));
    for (const other of this.#attempts) if (other !== attempt) this.#remove(other);
    this.#link.writeWith(2, attempt.local);
    this.#link.send(parts, true);
    this.#isDone = true;
    const afterwards = new Tls13Afterwards(this.#link, 'client', {
      localSecret: secrets.trafficSecretOf('client'),
      remoteSecret: secrets.trafficSecretOf('server'),
      nextSequence: sequence,
      nextRemoteSequence: attempt.next,
    });
    this.#link.connected({ version: '1.3', schedule: secrets, srtpProfile: profile, remoteFingerprint: fingerprint, afterwards });
    return undefined;
  }
}

/** Something came that is protected by its keys: whoever answered has read our hello. */
function isAlive({ received }: Attempt): boolean {
  return received.length > 1;
}
