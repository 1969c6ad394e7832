import { createHmac } from 'node:crypto';
import { SRTP_PROFILES, type SrtpProfile } from '../srtp/profile.ts';
import { uint16 } from './byte-writer.ts';
import type { FlightPart } from './flight.ts';
import type { DtlsFailure, FragmentSource, HandshakeLink, HandshakeSettings } from './handshake.ts';
import { type HandshakeFragment, HandshakeType, tlsMessage } from './handshake-message.ts';
import {
  CipherSuite,
  type ClientHello,
  ExtensionType,
  RANDOM_BYTES,
  readNumberList,
  readUseSrtp,
  withoutExtension,
  writeServerHello,
  writeUseSrtp,
} from './hello.ts';
import { isSame } from './key-schedule.ts';
import { createKeyShare, type Group } from './key-share.ts';
import { MessageAssembler, type ReceivedMessage } from './message-assembler.ts';
import { writeCertificateVerify } from './messages.ts';
import { PeerCertificates } from './peer-certificate.ts';
import { DTLS_1_2, DTLS_1_3 } from './record.ts';
import type { RecordNumber } from './record-protection.ts';
import { isPieceOf } from './server-handshake.ts';
import { chooseTls13Scheme, signWith } from './signature.ts';
import { Tls13Afterwards } from './tls13-afterwards.ts';
import { Tls13KeySchedule, transcriptHash } from './tls13-key-schedule.ts';
import {
  parseTls13Certificate,
  RETRY_RANDOM,
  readClientShares,
  readCookie,
  signedContent,
  writeCookie,
  writeEncryptedExtensions,
  writeKeyShare,
  writeTls13Certificate,
  writeTls13CertificateRequest,
} from './tls13-messages.ts';
import { type Tls13Proof, takeProof } from './tls13-proof.ts';
import type { Tls13Protection } from './tls13-protection.ts';

/** What a server picks from a ClientHello. */
export interface Tls13Answer {
  readonly hello: ClientHello;
  readonly group: Group;
  /** The client's share of that group; without one it has to be asked for it. */
  readonly publicKey: Buffer | undefined;
  readonly scheme: number;
  readonly profile: SrtpProfile;
}

interface Attempt extends Tls13Proof {
  readonly hello: ReceivedMessage;
  readonly profile: SrtpProfile;
  readonly schedule: Tls13KeySchedule;
  readonly remote: Tls13Protection;
  readonly transcript: Buffer[];
  /** How long the transcript is at the end of our Finished: there the keys of application data come from. */
  readonly ours: number;
  readonly messages: MessageAssembler;
  readonly received: RecordNumber[];
  /** message_seq of our next message. */
  readonly nextSequence: number;
  next: number;
  expects: number;
  certificate?: NonNullable<Tls13Proof['certificate']>;
}

const COOKIE_KEY_BYTES = 16;
const HASH_BYTES = 32;
/** What a cookie says that asks for nothing else. */
const PROOF = Buffer.from('proof');
const MAX_RECEIVED = 32;

/** Server side of the DTLS 1.3 handshake (RFC 9147 §5), with a certificate asked of the client. */
export class Tls13Server {
  readonly #settings: HandshakeSettings;
  readonly #link: HandshakeLink;
  readonly #certificates: PeerCertificates;
  readonly #cookieKey: Buffer;
  #attempt: Attempt | undefined;
  #isDone = false;

  constructor(settings: HandshakeSettings, link: HandshakeLink) {
    this.#settings = settings;
    this.#link = link;
    this.#certificates = new PeerCertificates(settings.remoteFingerprints, parseTls13Certificate);
    this.#cookieKey = settings.randomBytes(COOKIE_KEY_BYTES);
  }

  /** A hello was answered by a flight. */
  get hasAnswered(): boolean {
    return this.#attempt !== undefined || this.#isDone;
  }

  /** What is missing comes protected. */
  get isDecided(): boolean {
    return this.#isDone || this.#attempt?.fingerprint !== undefined;
  }

  isRepetition(fragment: HandshakeFragment): boolean {
    return this.#attempt !== undefined && isPieceOf(this.#attempt.hello, fragment);
  }

  /** What this hello would be answered with; undefined when it lacks something that we insist on. */
  prepare(hello: ClientHello): Tls13Answer | undefined {
    const { extensions, cipherSuites, compressions } = hello;
    const { identity, srtpProfiles, groups: ours } = this.#settings;
    if (!cipherSuites.includes(CipherSuite.aes128GcmSha256) || !compressions.includes(0)) return undefined;
    const scheme = chooseTls13Scheme(identity.privateKey, readNumberList(extensions, ExtensionType.signatureAlgorithms) ?? []);
    const offered = readUseSrtp(extensions)?.profiles;
    const profile = srtpProfiles.find((each) => offered?.includes(SRTP_PROFILES[each].id));
    const groups = readNumberList(extensions, ExtensionType.supportedGroups);
    const shares = readClientShares(extensions);
    const shared = ours.find((each) => shares?.some((share) => share.group === each));
    const group = shared ?? ours.find((each) => groups?.includes(each));
    if (scheme === undefined || !profile || !shares || group === undefined) return undefined;
    return { hello, group, publicKey: shares.find((share) => share.group === group)?.publicKey, scheme, profile };
  }

  /** @param isFirst no other hello was answered; only such a one needs no cookie */
  handleHello(message: ReceivedMessage, answer: Tls13Answer, isFirst: boolean): void {
    const cookie = readCookie(answer.hello.extensions);
    const before = cookie && message.sequence > 0 ? this.#transcriptOf(message, cookie, answer) : undefined;
    if (before || (isFirst && answer.publicKey && message.sequence === 0)) this.#begin(message, answer, before ?? []);
    // With two hellos about, a request for a share would be taken for an answer by the wrong client as well.
    else if (message.sequence === 0 && (isFirst || answer.publicKey)) this.#askAgain(message, answer);
    else this.#link.drop();
  }

  handleFragment(fragment: HandshakeFragment, source: FragmentSource): void {
    const attempt = this.#attempt;
    const message = attempt?.remote === source.protection ? attempt?.messages.add(fragment, source.datagram) : 'refused';
    if (!attempt || message === 'refused') {
      this.#link.drop();
      return;
    }
    if (attempt.received.length < MAX_RECEIVED) attempt.received.push({ epoch: source.epoch, sequence: source.sequence });
    this.#link.settle(); // it answers our flight, so the client has that
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

  acknowledge(): void {
    if (this.#attempt) this.#link.acknowledge(this.#attempt.received);
  }

  handleAcknowledged(): void {
    this.#link.settle();
  }

  /**
   * HelloRetryRequest (RFC 8446 §4.1.4): for a share of a group that both have, or for a proof that the sender reads our answers. Nothing is kept of it.
   * The proof is the same for all, so that a client may answer the request that somebody else's hello brought about.
   */
  #askAgain(message: ReceivedMessage, { group, publicKey }: Tls13Answer): void {
    this.#link.drop();
    const cookie = publicKey
      ? this.#cookieOf(PROOF)
      : this.#cookieOf(Buffer.concat([uint16(group), transcriptHash([tlsMessage(message)])]));
    const body = writeRetry(publicKey ? undefined : group, cookie);
    this.#link.sendOnce({ type: HandshakeType.serverHello, sequence: 0, body });
  }

  #cookieOf(content: Buffer): Buffer {
    return Buffer.concat([content, createHmac('sha256', this.#cookieKey).update(content).digest()]);
  }

  /** The transcript before a second hello, when its cookie is ours and it has what it was asked for. */
  #transcriptOf(message: ReceivedMessage, cookie: Buffer, { group, publicKey }: Tls13Answer): Buffer[] | undefined {
    const content = cookie.subarray(0, Math.max(0, cookie.length - HASH_BYTES));
    if (!publicKey || !isSame(cookie, this.#cookieOf(content))) return undefined;
    const isProof = content.equals(PROOF);
    if (!isProof && content.readUInt16BE(0) !== group) return undefined;
    // Without a new share the hello is the first one and the cookie; else the cookie carries the hash of the first.
    const first = { type: HandshakeType.clientHello, body: withoutExtension(message.body, ExtensionType.cookie) };
    const hash = isProof ? transcriptHash([tlsMessage(first)]) : content.subarray(2);
    return [
      { type: HandshakeType.messageHash, body: hash },
      { type: HandshakeType.serverHello, body: writeRetry(isProof ? undefined : group, cookie) },
    ].map(tlsMessage);
  }

  /** ServerHello, EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished. */
  #begin(hello: ReceivedMessage, { group, publicKey, scheme, profile }: Tls13Answer, before: readonly Buffer[]): void {
    const { identity, randomBytes } = this.#settings;
    const share = createKeyShare(group);
    const secret = publicKey && share.agree(publicKey);
    if (!secret) {
      this.#link.drop();
      return;
    }
    const transcript = [...before, tlsMessage(hello)];
    const parts: FlightPart[] = [];
    let { sequence } = hello;
    const say = (type: number, body: Buffer, epoch = 2) => {
      const message = { type, sequence: sequence++, body };
      transcript.push(tlsMessage(message));
      parts.push({ type: 'handshake', epoch, message });
    };
    say(HandshakeType.serverHello, writeHello(randomBytes(RANDOM_BYTES), [[ExtensionType.keyShare, writeKeyShare(share)]]), 0);
    const schedule = new Tls13KeySchedule(secret, transcript);
    const useSrtp = writeUseSrtp([SRTP_PROFILES[profile].id]);
    say(HandshakeType.encryptedExtensions, writeEncryptedExtensions(new Map([[ExtensionType.useSrtp, useSrtp]])));
    say(HandshakeType.certificateRequest, writeTls13CertificateRequest());
    say(HandshakeType.certificate, writeTls13Certificate(identity.certificate, Buffer.alloc(0)));
    const signature = signWith(scheme, identity.privateKey, signedContent('server', transcriptHash(transcript)));
    say(HandshakeType.certificateVerify, writeCertificateVerify(scheme, signature));
    say(HandshakeType.finished, schedule.finishedOf('server', transcript));
    if (this.#attempt) this.#link.forget(this.#attempt.remote);
    const next = hello.sequence + 1;
    const attempt: Attempt = {
      hello,
      profile,
      schedule,
      remote: schedule.protectionOf('client'),
      transcript,
      ours: transcript.length,
      messages: new MessageAssembler(next),
      received: [],
      nextSequence: sequence,
      next,
      expects: HandshakeType.certificate,
    };
    this.#attempt = attempt;
    this.#link.writeWith(2, schedule.protectionOf('server'));
    this.#link.readWith(2, attempt.remote);
    this.#link.send(parts, true);
  }

  /** The sender of that hello is a wrong one; another may still come. */
  #giveUp(attempt: Attempt, fault: DtlsFailure): void {
    this.#link.forget(attempt.remote);
    this.#attempt = undefined;
    this.#link.drop();
    this.#link.suspect(fault, true);
  }

  #judge(attempt: Attempt, message: ReceivedMessage): DtlsFailure | undefined {
    if (message.type !== attempt.expects) return 'parameters';
    attempt.next += 1;
    switch (message.type) {
      case HandshakeType.certificate: {
        const { key, fingerprint } = this.#certificates.read(message);
        if (!key) return 'certificate';
        attempt.certificate = { key, fingerprint };
        attempt.expects = HandshakeType.certificateVerify;
        break;
      }
      case HandshakeType.certificateVerify: {
        const fault = takeProof(attempt, 'client', message.body);
        if (fault) return fault;
        this.#link.trust();
        attempt.expects = HandshakeType.finished;
        break;
      }
      default: {
        if (!isSame(message.body, attempt.schedule.finishedOf('client', attempt.transcript))) return 'finished';
        return this.#finish(attempt);
      }
    }
    attempt.transcript.push(tlsMessage(message));
    return undefined;
  }

  #finish({ schedule, transcript, ours, profile, fingerprint, nextSequence, next, received }: Attempt): DtlsFailure | undefined {
    if (!fingerprint) return 'parameters';
    const secrets = schedule.applicationSecrets(transcript.slice(0, ours));
    this.#attempt = undefined;
    this.#isDone = true;
    const afterwards = new Tls13Afterwards(this.#link, 'server', {
      localSecret: secrets.trafficSecretOf('server'),
      remoteSecret: secrets.trafficSecretOf('client'),
      nextSequence,
      nextRemoteSequence: next,
    });
    this.#link.acknowledge(received);
    this.#link.connected({ version: '1.3', schedule: secrets, srtpProfile: profile, remoteFingerprint: fingerprint, afterwards });
    return undefined;
  }
}

function writeHello(random: Buffer, extensions: readonly (readonly [number, Buffer])[]): Buffer {
  return writeServerHello({
    version: DTLS_1_2,
    random,
    // RFC 9147 §5.4: never echoed.
    sessionId: Buffer.alloc(0),
    cipherSuite: CipherSuite.aes128GcmSha256,
    compression: 0,
    extensions: new Map([[ExtensionType.supportedVersions, uint16(DTLS_1_3)], ...extensions]),
  });
}

function writeRetry(group: Group | undefined, cookie: Buffer): Buffer {
  return writeHello(RETRY_RANDOM, [
    ...(group === undefined ? [] : [[ExtensionType.keyShare, uint16(group)] as const]),
    [ExtensionType.cookie, writeCookie(cookie)],
  ]);
}
