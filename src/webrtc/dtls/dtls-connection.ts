import { randomBytes } from 'node:crypto';
import type { Machine } from '../../base/driver.ts';
import type { SrtpKeys, SrtpProfile } from '../srtp/profile.ts';
import { parseAck, writeAck } from './ack.ts';
import { type Alert, CLOSE_ALERT, failureAlert, parseAlert } from './alert.ts';
import type { Fingerprint } from './fingerprint.ts';
import { Flight } from './flight.ts';
import type { DtlsFailure, DtlsVersion, FragmentSource, Handshake, HandshakeLink, HandshakeResult } from './handshake.ts';
import { parseFragments } from './handshake-message.ts';
import type { Identity } from './identity.ts';
import { type DtlsRole, exportSrtpKeys } from './key-schedule.ts';
import { GROUPS, type Group } from './key-share.ts';
import { NegotiatingClient } from './negotiating-client.ts';
import { NegotiatingServer } from './negotiating-server.ts';
import { parseRecords } from './record.ts';
import { type AuthenticRecord, RecordLayer } from './record-layer.ts';
import { ContentType, type WireRecord } from './record-protection.ts';
import { Retransmission } from './retransmission.ts';

export interface DtlsOptions {
  readonly role: DtlsRole;
  readonly identity: Identity;
  /** Of the peer's SDP. With none of a known algorithm no peer is right. */
  readonly remoteFingerprints: readonly Fingerprint[];
  /** In order of preference. Default: a client offers counter mode only, a server takes GCM as well. */
  readonly srtpProfiles?: readonly SrtpProfile[];
  /** Round trip time as ICE measured it: sets the first retransmission. */
  readonly pathRttMs?: number;
  /** What is spoken; with 1.3 in the list, that where the peer speaks it too. Default both. */
  readonly versions?: readonly DtlsVersion[];
  /** That keys are agreed in, the preferred one first. Default P-256 and X25519. */
  readonly groups?: readonly Group[];
  /** Records sent with one key before it is changed (1.3). Default 2^23. */
  readonly maxRecordsPerKey?: number;
  /** Longest datagram of the handshake in bytes; default 1200, least 256. */
  readonly mtu?: number;
  /** How long the handshake may take in all; default 20 s. */
  readonly timeoutMs?: number;
  /** For tests. */
  readonly randomBytes?: (length: number) => Buffer;
}

export type DtlsState = 'new' | 'connecting' | 'connected' | 'closed' | 'failed';

export type DtlsOutput =
  /** `flight`: it is part of the handshake; the same number for all that was sent with it. */
  | { readonly type: 'datagram'; readonly bytes: Buffer; readonly flight?: number }
  | { readonly type: 'connected'; readonly srtp: SrtpKeys; readonly remoteFingerprint: Fingerprint }
  | { readonly type: 'data'; readonly bytes: Buffer }
  | { readonly type: 'closed'; readonly reason: 'local' | 'peer' }
  | { readonly type: 'failed'; readonly reason: DtlsFailure; readonly detail?: string };

/**
 * Why input was dropped. `malformed`: no DTLS; `unknown`: a content type or epoch that nothing belongs to; `plaintext`:
 * unprotected after the handshake; `alert`: an unprotected alert; `handshake`: does not fit the handshake; `replay`, `auth`:
 * protected, but seen before or not authentic; `early`: came before its keys or the end of the handshake, and too much of it.
 */
export type DtlsDropReason = 'malformed' | 'unknown' | 'plaintext' | 'alert' | 'handshake' | 'replay' | 'auth' | 'early';

export interface DtlsSnapshot {
  readonly state: DtlsState;
  /** Undefined before the handshake's end. */
  readonly version: DtlsVersion | undefined;
  readonly dropped: Readonly<Record<DtlsDropReason, number>>;
  /** What was wrong with a peer that claimed to be the right one. It may have been forged, so it ends nothing before the time is up. */
  readonly suspicion: DtlsFailure | undefined;
  /** Flights sent again, because time was up or the peer asked. */
  readonly retransmissions: number;
}

/** What fits a UDP payload on every path of today (RFC 8831 §5 assumes the same). */
const DEFAULT_MTU = 1200;
const MIN_MTU = 256;
/** A caller who hears nothing for so long has hung up; at 30 % loss each way the slowest of 200 handshakes needed 5.4 s. */
const DEFAULT_TIMEOUT_MS = 20_000;
/** For a wrong peer that is live, until the handshake fails: the right one, if there is one, answers within a retransmission. */
const SUSPICION_MS = 1000;
/** Between two repetitions that the peer asked for: many forged requests make one answer. BoringSSL repeats after 50 ms. */
const RESEND_GAP_MS = 25;
/** Records that came before their keys, and data before the end of the handshake: what a peer sends in one flight. */
const MAX_EARLY = 16;
/** Outputs that nobody fetched. A driver fetches after every input. */
const MAX_OUTPUTS = 256;
const MAX_PLAIN_BYTES = 1 << 14;
/** RFC 9147 §4.5.3 and RFC 8446 §5.5 allow 2^24.5 records of AES-GCM with one key. */
const MAX_RECORDS_PER_KEY = 2 ** 23;
/** A flight of which a part came: the rest is a datagram behind, or lost. RFC 9147 §7.1 suggests a quarter of the retransmission time. */
const REST_SHARE = 0.25;

/**
 * One DTLS connection of version 1.3 or 1.2, either role, over a path that ICE has checked. Sans I/O: feed it datagrams and the time.
 * Everything in epoch 0 can be forged by anybody and so is never fatal: see docs/dtls-srtp.md for what that leaves.
 */
export class DtlsConnection implements Machine<DtlsOutput> {
  readonly #role: DtlsRole;
  readonly #mtu: number;
  readonly #timeoutMs: number;
  readonly #maxRecordsPerKey: number;
  readonly #records = new RecordLayer();
  readonly #retransmission: Retransmission;
  readonly #outputs: DtlsOutput[] = [];
  readonly #dropped: Record<DtlsDropReason, number> = {
    malformed: 0,
    unknown: 0,
    plaintext: 0,
    alert: 0,
    handshake: 0,
    replay: 0,
    auth: 0,
    early: 0,
  };
  #handshake: Handshake | undefined;
  #state: DtlsState = 'new';
  #now = 0;
  #datagrams = 0;
  #flight: Flight | undefined;
  /** Counts sendings of flights. */
  #sendings = 0;
  #flightSentAt = Number.NEGATIVE_INFINITY;
  #retransmissions = 0;
  #deadline: number | undefined;
  #version: DtlsVersion | undefined;
  /** When to say which part of the peer's flight is here. */
  #restDueAt: number | undefined;
  /** Until when a flight is repeated after the handshake. */
  #repeatUntil = 0;
  /** The worst that was seen of the peer so far, and since when it is certain that somebody live is behind it. */
  #suspicion: DtlsFailure | undefined;
  #suspectUntil: number | undefined;
  #plaintextAlert: number | undefined;
  /** Protected records without keys yet. */
  #earlyRecords: WireRecord[] = [];
  /** Authentic data from before the handshake's end. */
  #earlyData: Buffer[] = [];

  constructor(options: DtlsOptions) {
    this.#role = options.role;
    this.#mtu = Math.max(MIN_MTU, options.mtu ?? DEFAULT_MTU);
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#maxRecordsPerKey = options.maxRecordsPerKey ?? MAX_RECORDS_PER_KEY;
    this.#retransmission = new Retransmission(options.pathRttMs);
    const client: SrtpProfile[] = ['AES128_CM_HMAC_SHA1_80'];
    const defaults: readonly SrtpProfile[] = options.role === 'client' ? client : [...client, 'AEAD_AES_128_GCM'];
    const settings = {
      versions: options.versions ?? (['1.3', '1.2'] as const),
      groups: options.groups ?? GROUPS,
      identity: options.identity,
      remoteFingerprints: options.remoteFingerprints,
      srtpProfiles: options.srtpProfiles ?? defaults,
      randomBytes: options.randomBytes ?? randomBytes,
    };
    const link = this.#link();
    this.#handshake = options.role === 'client' ? new NegotiatingClient(settings, link) : new NegotiatingServer(settings, link);
  }

  get state(): DtlsState {
    return this.#state;
  }

  get role(): DtlsRole {
    return this.#role;
  }

  /** A client sends its hello; a server is ready for one (it is before, too, but without a deadline). */
  start(now: number): void {
    this.#now = now;
    if (this.#deadline !== undefined || this.#isOver()) return;
    this.#deadline = now + this.#timeoutMs;
    if (this.#state !== 'new') return;
    this.#state = 'connecting';
    this.#handshake?.start();
  }

  /** @param datagram kept for as long as its fragments are needed: the caller must not write to it again */
  handleDatagram(datagram: Buffer, now: number): void {
    this.#now = now;
    if (this.#isOver()) return;
    if (this.#state === 'new') this.start(now);
    this.#datagrams += 1;
    const { records, isWhole } = parseRecords(datagram);
    if (!isWhole) this.#drop('malformed');
    for (const record of records) {
      if (record.epoch === 0 && !record.unified) this.#handlePlaintext(record);
      else this.#handleProtected(record);
    }
    this.#handshake?.endOfDatagram();
    this.#handleEarly();
  }

  /** Sends application data as one record. @returns false when it was not sent: not connected, or longer than 2^14 bytes */
  send(data: Uint8Array): boolean {
    if (this.#state !== 'connected' || data.length > MAX_PLAIN_BYTES) return false;
    const epoch = this.#records.writeEpoch;
    if (this.#records.nextSequence(epoch) >= this.#maxRecordsPerKey) this.#handshake?.updateKeys();
    return this.#sendRecord(epoch, ContentType.applicationData, data);
  }

  /** Says goodbye, once. The peer is not waited for. */
  close(): void {
    if (this.#isOver()) return;
    if (this.#state === 'connected') this.#sendRecord(this.#records.writeEpoch, ContentType.alert, CLOSE_ALERT);
    this.#end('closed', { type: 'closed', reason: 'local' });
  }

  pollOutput(): DtlsOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    if (this.#state === 'connected') return this.#retransmission.dueAt;
    if (this.#state !== 'connecting') return undefined;
    const times = [this.#deadline, this.#suspectUntil, this.#restDueAt, this.#retransmission.dueAt].filter((at) => at !== undefined);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  handleTimeout(now: number): void {
    this.#now = now;
    if (this.#state === 'connected') this.#repeatAfterwards(now);
    if (this.#state !== 'connecting') return;
    if (now >= (this.#restDueAt ?? Number.POSITIVE_INFINITY)) {
      this.#restDueAt = undefined;
      this.#handshake?.acknowledge();
    }
    if (now >= (this.#suspectUntil ?? Number.POSITIVE_INFINITY) || now >= (this.#deadline ?? Number.POSITIVE_INFINITY)) {
      this.#fail(this.#suspicion ?? 'timeout');
    } else if (now >= (this.#retransmission.dueAt ?? Number.POSITIVE_INFINITY)) {
      if (this.#handshake?.handleSilence()) return;
      this.#retransmission.backOff(now);
      this.#repeatFlight();
    }
  }

  snapshot(): DtlsSnapshot {
    const [state, version, suspicion, retransmissions] = [this.#state, this.#version, this.#suspicion, this.#retransmissions];
    return { state, version, dropped: { ...this.#dropped }, suspicion, retransmissions };
  }

  #link(): HandshakeLink {
    return {
      send: (flight, isRepeated) => {
        this.#flight = new Flight(flight);
        this.#restDueAt = undefined;
        this.#repeatUntil = this.#now + this.#timeoutMs;
        this.#sendFlight();
        if (isRepeated) this.#retransmission.begin(this.#now);
        else this.#retransmission.end();
      },
      sendOnce: (message) => {
        const flight = new Flight([{ type: 'handshake', epoch: 0, message }]);
        for (const bytes of flight.pack(this.#records, this.#mtu)) this.#output({ type: 'datagram', bytes });
      },
      resend: () => {
        if (this.#now - this.#flightSentAt < RESEND_GAP_MS) return;
        this.#retransmission.postpone(this.#now);
        this.#repeatFlight();
      },
      install: (epoch, local, remote) => this.#records.install(epoch, local, remote),
      writeWith: (epoch, protection) => this.#records.writeWith(epoch, protection),
      readWith: (epoch, protection) => this.#records.readWith(epoch, protection),
      forget: (protection) => this.#records.forget(protection),
      retire: (epoch) => this.#records.retire(epoch),
      acknowledge: (numbers) => {
        this.#sendRecord(this.#records.writeEpoch, ContentType.ack, writeAck(numbers));
      },
      awaitRest: () => {
        if (this.#state === 'connecting') this.#restDueAt ??= this.#now + REST_SHARE * this.#retransmission.firstMs;
      },
      settle: () => {
        this.#flight = undefined;
        this.#retransmission.end();
      },
      connected: (result) => this.#connect(result),
      drop: () => this.#drop('handshake'),
      suspect: (reason, isLive) => this.#suspect(reason, isLive),
      trust: () => {
        this.#suspicion = undefined;
        this.#suspectUntil = undefined;
      },
      fail: (reason) => this.#fail(reason),
    };
  }

  #suspect(reason: DtlsFailure, isLive: boolean): void {
    this.#suspicion = reason;
    if (isLive) this.#suspectUntil ??= this.#now + SUSPICION_MS;
  }

  #handlePlaintext(record: WireRecord): void {
    if (this.#isOver()) return;
    if (this.#state === 'connected') {
      this.#drop('plaintext');
      return;
    }
    switch (record.contentType) {
      case ContentType.handshake: {
        const fragments = parseFragments(record.fragment);
        if (!fragments) this.#drop('malformed');
        const source = { epoch: 0, sequence: record.sequence, datagram: this.#datagrams };
        for (const fragment of fragments ?? []) this.#handshake?.handleFragment(fragment, source);
        return;
      }
      case ContentType.changeCipherSpec:
        return; // the epoch of the next record says as much, and cannot be forged
      case ContentType.alert:
        this.#plaintextAlert = parseAlert(record.fragment)?.description ?? this.#plaintextAlert;
        this.#drop('alert');
        return;
      default:
        this.#drop('unknown');
    }
  }

  #handleProtected(record: WireRecord): void {
    if (this.#isOver()) return;
    const isKnown = record.unified ? this.#version !== '1.2' : record.epoch === 1 && this.#version !== '1.3';
    const canRead = this.#records.canRead(record);
    if (!isKnown || (!canRead && this.#state === 'connected')) {
      this.#drop('unknown');
      return;
    }
    if (!canRead) {
      // The newest are kept: what is true will be repeated.
      this.#earlyRecords.push(record);
      if (this.#earlyRecords.length <= MAX_EARLY) return;
      this.#earlyRecords.shift();
      this.#drop('early');
      return;
    }
    const opened = this.#records.open(record);
    if (typeof opened === 'string') {
      this.#drop(opened);
      return;
    }
    this.#handleOpened(opened);
  }

  #handleOpened({ contentType, plain, epoch, sequence, protection }: AuthenticRecord): void {
    switch (contentType) {
      case ContentType.handshake: {
        const source: FragmentSource = { epoch, sequence, protection, datagram: this.#datagrams };
        for (const fragment of parseFragments(plain) ?? []) this.#handshake?.handleFragment(fragment, source);
        return;
      }
      case ContentType.alert:
        this.#handleAlert(parseAlert(plain), epoch);
        return;
      case ContentType.ack:
        this.#handleAck(plain, epoch);
        return;
      case ContentType.applicationData:
        // The keys of epoch 2 belong to whoever answered first; nothing but the handshake is protected by them.
        if (epoch === 2) this.#drop('unknown');
        else this.#handleData(plain);
        return;
      default:
        this.#drop('unknown');
    }
  }

  /** RFC 9147 §7. A client that is not connected has nothing that the true server would have to acknowledge so: its answer does that. */
  #handleAck(plain: Buffer, epoch: number): void {
    const numbers = epoch > 1 ? parseAck(plain) : undefined;
    const flight = this.#flight;
    if (!numbers || !flight || (this.#role === 'client' && this.#state !== 'connected')) {
      this.#drop('handshake');
      return;
    }
    if (!flight.acknowledge(numbers)) return;
    if (flight.isAcknowledged) this.#handshake?.handleAcknowledged();
    else if (this.#now - this.#flightSentAt >= RESEND_GAP_MS) {
      this.#retransmission.postpone(this.#now);
      this.#repeatFlight();
    }
  }

  /** The end of a handshake of 1.3, or new keys, that nobody acknowledges: bounded, and no reason to end anything. */
  #repeatAfterwards(now: number): void {
    if (now < (this.#retransmission.dueAt ?? Number.POSITIVE_INFINITY)) return;
    if (now >= this.#repeatUntil) {
      this.#retransmission.end();
      return;
    }
    this.#retransmission.backOff(now);
    this.#repeatFlight();
  }

  #handleEarly(): void {
    if (this.#earlyRecords.length === 0) return;
    const records = this.#earlyRecords;
    this.#earlyRecords = [];
    for (const record of records) this.#handleProtected(record);
    if (this.#earlyRecords.length < records.length) this.#handleEarly(); // what was opened may have brought the keys of the others
  }

  #handleData(bytes: Buffer): void {
    if (this.#state === 'connected') this.#output({ type: 'data', bytes });
    else if (this.#earlyData.length < MAX_EARLY) this.#earlyData.push(bytes);
    else this.#drop('early');
  }

  /** Protected, so it is the peer's; but in epoch 2, before the handshake's end, of whoever answered. */
  #handleAlert(alert: Alert | undefined, epoch: number): void {
    if (epoch === 2 && this.#state !== 'connected') {
      this.#drop('alert');
      if (!alert?.isFatal) return;
      this.#plaintextAlert = alert.description;
      this.#suspect('alert', true);
    } else if (alert?.isClose) {
      this.#sendRecord(this.#records.writeEpoch, ContentType.alert, CLOSE_ALERT);
      this.#end('closed', { type: 'closed', reason: 'peer' });
    } else if (alert?.isFatal) this.#fail('alert', `alert ${alert.description}`);
  }

  #connect({ version, schedule, srtpProfile, remoteFingerprint, afterwards }: HandshakeResult): void {
    this.#state = 'connected';
    this.#version = version;
    if (afterwards) this.#handshake = afterwards;
    this.#deadline = undefined;
    this.#restDueAt = undefined;
    // In 1.3 a client's last flight is repeated until it is acknowledged. In 1.2 a client is done, and a server answers repetitions.
    if (version === '1.2') {
      this.#records.writeIn(1);
      this.#retransmission.end();
      if (this.#role === 'client') {
        this.#handshake = undefined;
        this.#flight = undefined;
      }
    }
    this.#output({ type: 'connected', srtp: exportSrtpKeys(schedule, srtpProfile, this.#role), remoteFingerprint });
    const early = this.#earlyData;
    this.#earlyData = [];
    for (const bytes of early) this.#output({ type: 'data', bytes });
  }

  #fail(reason: DtlsFailure, detail = this.#hint()): void {
    if (this.#isOver()) return;
    const alert = failureAlert(reason);
    if (alert) this.#sendRecord(this.#records.writeEpoch, ContentType.alert, alert);
    this.#end('failed', { type: 'failed', reason, ...(detail === undefined ? {} : { detail }) });
  }

  /** An alert that nobody vouches for decides nothing, but often says what was wrong. */
  #hint(): string | undefined {
    return this.#plaintextAlert === undefined ? undefined : `unprotected alert ${this.#plaintextAlert}`;
  }

  #end(state: 'closed' | 'failed', output: DtlsOutput): void {
    this.#state = state;
    this.#handshake = undefined;
    this.#flight = undefined;
    this.#earlyRecords = [];
    this.#earlyData = [];
    this.#retransmission.end();
    this.#output(output);
  }

  #isOver(): boolean {
    return this.#state === 'closed' || this.#state === 'failed';
  }

  #repeatFlight(): void {
    if (!this.#flight) return;
    this.#retransmissions += 1;
    this.#sendFlight();
  }

  #sendFlight(): void {
    this.#flightSentAt = this.#now;
    this.#sendings += 1;
    for (const bytes of this.#flight?.pack(this.#records, this.#mtu) ?? [])
      this.#output({ type: 'datagram', bytes, flight: this.#sendings });
  }

  #sendRecord(epoch: number, contentType: number, plain: Uint8Array): boolean {
    const bytes = this.#records.write(epoch, contentType, plain);
    if (!bytes) return false;
    this.#output({ type: 'datagram', bytes });
    return true;
  }

  #output(output: DtlsOutput): void {
    if (this.#outputs.length >= MAX_OUTPUTS && (output.type === 'data' || output.type === 'datagram')) return;
    this.#outputs.push(output);
  }

  #drop(reason: DtlsDropReason): void {
    this.#dropped[reason] += 1;
  }
}
