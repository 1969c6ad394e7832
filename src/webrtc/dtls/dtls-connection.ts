import { randomBytes } from 'node:crypto';
import type { Machine } from '../../base/driver.ts';
import type { SrtpKeys, SrtpProfile } from '../srtp/profile.ts';
import { type Alert, CLOSE_ALERT, failureAlert, parseAlert } from './alert.ts';
import { ClientHandshake } from './client-handshake.ts';
import type { Fingerprint } from './fingerprint.ts';
import { type FlightPart, packFlight } from './flight.ts';
import type { DtlsFailure, Handshake, HandshakeLink, HandshakeResult } from './handshake.ts';
import { parseFragments } from './handshake-message.ts';
import type { Identity } from './identity.ts';
import { type DtlsRole, exportSrtpKeys } from './key-schedule.ts';
import { parseRecords } from './record.ts';
import { RecordLayer } from './record-layer.ts';
import { ContentType, type WireRecord } from './record-protection.ts';
import { Retransmission } from './retransmission.ts';
import { ServerHandshake } from './server-handshake.ts';

export interface DtlsOptions {
  readonly role: DtlsRole;
  readonly identity: Identity;
  /** Of the peer's SDP. With none of a known algorithm no peer is right. */
  readonly remoteFingerprints: readonly Fingerprint[];
  /** In order of preference. Default: a client offers counter mode only, a server takes GCM as well. */
  readonly srtpProfiles?: readonly SrtpProfile[];
  /** Round trip time as ICE measured it: sets the first retransmission. */
  readonly pathRttMs?: number;
  /** Longest datagram of the handshake in bytes; default 1200, least 256. */
  readonly mtu?: number;
  /** How long the handshake may take in all; default 20 s. */
  readonly timeoutMs?: number;
  /** For tests. */
  readonly randomBytes?: (length: number) => Buffer;
}

export type DtlsState = 'new' | 'connecting' | 'connected' | 'closed' | 'failed';

export type DtlsOutput =
  | { readonly type: 'datagram'; readonly bytes: Buffer }
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

/**
 * One DTLS 1.2 connection, either role, over a path that ICE has checked. Sans I/O: feed it datagrams and the time.
 * Everything in epoch 0 can be forged by anybody and so is never fatal: see docs/dtls-srtp.md for what that leaves.
 */
export class DtlsConnection implements Machine<DtlsOutput> {
  readonly #role: DtlsRole;
  readonly #mtu: number;
  readonly #timeoutMs: number;
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
  #flight: readonly FlightPart[] = [];
  #flightSentAt = Number.NEGATIVE_INFINITY;
  #retransmissions = 0;
  #deadline: number | undefined;
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
    this.#retransmission = new Retransmission(options.pathRttMs);
    const client: SrtpProfile[] = ['AES128_CM_HMAC_SHA1_80'];
    const defaults: readonly SrtpProfile[] = options.role === 'client' ? client : [...client, 'AEAD_AES_128_GCM'];
    const settings = {
      identity: options.identity,
      remoteFingerprints: options.remoteFingerprints,
      srtpProfiles: options.srtpProfiles ?? defaults,
      randomBytes: options.randomBytes ?? randomBytes,
    };
    const link = this.#link();
    this.#handshake = options.role === 'client' ? new ClientHandshake(settings, link) : new ServerHandshake(settings, link);
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
      if (record.epoch === 0) this.#handlePlaintext(record);
      else this.#handleProtected(record);
    }
    this.#handshake?.endOfDatagram();
    this.#handleEarly();
  }

  /** Sends application data as one record. @returns false when it was not sent: not connected, or longer than 2^14 bytes */
  send(data: Uint8Array): boolean {
    if (this.#state !== 'connected' || data.length > MAX_PLAIN_BYTES) return false;
    return this.#sendRecord(1, ContentType.applicationData, data);
  }

  /** Says goodbye, once. The peer is not waited for. */
  close(): void {
    if (this.#isOver()) return;
    if (this.#state === 'connected') this.#sendRecord(1, ContentType.alert, CLOSE_ALERT);
    this.#end('closed', { type: 'closed', reason: 'local' });
  }

  pollOutput(): DtlsOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    if (this.#state !== 'connecting') return undefined;
    const times = [this.#deadline, this.#suspectUntil, this.#retransmission.dueAt].filter((at) => at !== undefined);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  handleTimeout(now: number): void {
    this.#now = now;
    if (this.#state !== 'connecting') return;
    if (now >= (this.#suspectUntil ?? Number.POSITIVE_INFINITY) || now >= (this.#deadline ?? Number.POSITIVE_INFINITY)) {
      this.#fail(this.#suspicion ?? 'timeout');
    } else if (now >= (this.#retransmission.dueAt ?? Number.POSITIVE_INFINITY)) {
      if (this.#handshake?.handleSilence()) return;
      this.#retransmission.backOff(now);
      this.#repeatFlight();
    }
  }

  snapshot(): DtlsSnapshot {
    const [state, suspicion, retransmissions] = [this.#state, this.#suspicion, this.#retransmissions];
    return { state, dropped: { ...this.#dropped }, suspicion, retransmissions };
  }

  #link(): HandshakeLink {
    return {
      send: (flight, isRepeated) => {
        this.#flight = flight;
        this.#sendFlight();
        if (isRepeated) this.#retransmission.begin(this.#now);
        else this.#retransmission.end();
      },
      sendOnce: (message) => {
        for (const bytes of packFlight([{ type: 'handshake', epoch: 0, message }], this.#records, this.#mtu))
          this.#output({ type: 'datagram', bytes });
      },
      resend: () => {
        if (this.#now - this.#flightSentAt < RESEND_GAP_MS) return;
        this.#retransmission.postpone(this.#now);
        this.#repeatFlight();
      },
      install: (epoch, local, remote) => this.#records.install(epoch, local, remote),
      connected: (result) => this.#connect(result),
      drop: () => this.#drop('handshake'),
      suspect: (reason, isLive) => {
        this.#suspicion = reason;
        if (isLive) this.#suspectUntil ??= this.#now + SUSPICION_MS;
      },
      trust: () => {
        this.#suspicion = undefined;
        this.#suspectUntil = undefined;
      },
      fail: (reason) => this.#fail(reason),
    };
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
        for (const fragment of fragments ?? []) this.#handshake?.handleFragment(fragment, 0, this.#datagrams);
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
    if (record.epoch !== 1) {
      this.#drop('unknown');
      return;
    }
    if (!this.#records.canRead(record.epoch)) {
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
    const { contentType, plain } = opened;
    if (contentType === ContentType.applicationData) this.#handleData(plain);
    else if (contentType === ContentType.alert) this.#handleAlert(parseAlert(plain));
    else if (contentType === ContentType.handshake) {
      for (const fragment of parseFragments(plain) ?? []) this.#handshake?.handleFragment(fragment, record.epoch, this.#datagrams);
    } else this.#drop('unknown');
  }

  #handleEarly(): void {
    if (this.#earlyRecords.length === 0 || !this.#records.canRead(1)) return;
    const records = this.#earlyRecords;
    this.#earlyRecords = [];
    for (const record of records) this.#handleProtected(record);
  }

  #handleData(bytes: Buffer): void {
    if (this.#state === 'connected') this.#output({ type: 'data', bytes });
    else if (this.#earlyData.length < MAX_EARLY) this.#earlyData.push(bytes);
    else this.#drop('early');
  }

  /** Protected, so it is the peer's. */
  #handleAlert(alert: Alert | undefined): void {
    if (alert?.isClose) {
      this.#sendRecord(1, ContentType.alert, CLOSE_ALERT);
      this.#end('closed', { type: 'closed', reason: 'peer' });
    } else if (alert?.isFatal) this.#fail('alert', `alert ${alert.description}`);
  }

  #connect({ schedule, srtpProfile, remoteFingerprint }: HandshakeResult): void {
    this.#state = 'connected';
    this.#retransmission.end();
    this.#deadline = undefined;
    // A client is done with its handshake; a server's answers for as long as the client may not have its Finished.
    if (this.#role === 'client') {
      this.#handshake = undefined;
      this.#flight = [];
    }
    this.#output({ type: 'connected', srtp: exportSrtpKeys(schedule, srtpProfile, this.#role), remoteFingerprint });
    const early = this.#earlyData;
    this.#earlyData = [];
    for (const bytes of early) this.#output({ type: 'data', bytes });
  }

  #fail(reason: DtlsFailure, detail = this.#hint()): void {
    if (this.#isOver()) return;
    const alert = failureAlert(reason);
    if (alert) this.#sendRecord(this.#records.canRead(1) ? 1 : 0, ContentType.alert, alert);
    this.#end('failed', { type: 'failed', reason, ...(detail === undefined ? {} : { detail }) });
  }

  /** An alert that nobody vouches for decides nothing, but often says what was wrong. */
  #hint(): string | undefined {
    return this.#plaintextAlert === undefined ? undefined : `unprotected alert ${this.#plaintextAlert}`;
  }

  #end(state: 'closed' | 'failed', output: DtlsOutput): void {
    this.#state = state;
    this.#handshake = undefined;
    this.#flight = [];
    this.#earlyRecords = [];
    this.#earlyData = [];
    this.#retransmission.end();
    this.#output(output);
  }

  #isOver(): boolean {
    return this.#state === 'closed' || this.#state === 'failed';
  }

  #repeatFlight(): void {
    if (this.#flight.length === 0) return;
    this.#retransmissions += 1;
    this.#sendFlight();
  }

  #sendFlight(): void {
    this.#flightSentAt = this.#now;
    for (const bytes of packFlight(this.#flight, this.#records, this.#mtu)) this.#output({ type: 'datagram', bytes });
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
