import { type Clock, soon } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Ticker } from '../base/ticker.ts';
import type { AmdOptions } from '../leg/answered-by.ts';
import type { CallFacts, LegHeader } from '../leg/call-facts.ts';
import type { DialRequest, EndCause, Leg, LegDialler, LegEvent, LegWish, SessionSummary } from '../leg/leg.ts';
import { CALLER } from '../leg/person.ts';
import type { Access, CallCommand, CallView, EventChannel, OpenedChannel, SessionJson } from '../leg/session-host.ts';
import type { RealtimeModel } from '../realtime/model.ts';
import { Session } from '../realtime/session.ts';
import type { SessionMetrics } from '../realtime/session-metrics.ts';
import type { SessionDeps } from '../realtime/session-options.ts';
import { LOCAL_SETTINGS } from '../realtime/surface/effective-session.ts';
import { type CallProgress, RealtimeSurface } from '../realtime/surface/realtime-surface.ts';
import type { SessionSettings } from '../realtime/surface/session-schema.ts';
import type { VoiceDetector } from '../realtime/voice-detector.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import { AnswerWatch } from './answer-watch.ts';
import { checkedSession, checkRefusal, checkTarget } from './check-command.ts';
import { Decision } from './decision.ts';
import { HandOvers } from './hand-overs.ts';
import type { MediaSession, MediaSnapshot } from './media.ts';
import { startMetronome } from './metronome.ts';
import { PartyLine } from './party-line.ts';
import { PeerMedia, type PeerMediaOptions } from './peer-media.ts';
import { type LineSounds, Persons } from './persons.ts';
import { plainSounds } from './plain-sounds.ts';
import type { Occupant, Seat } from './seat.ts';
import { TransferWatch } from './transfer-watch.ts';
import { profileFor } from './voice-codec.ts';
import type { Wires } from './wires.ts';

export interface HostedSessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ticker: Ticker;
  readonly identity: Identity;
  readonly model: RealtimeModel;
  readonly createVoiceDetector: () => VoiceDetector;
  readonly sessionMetrics: SessionMetrics;
  /** Tools that the gateway runs, and what is heard meanwhile. */
  readonly tools?: SessionDeps['tools'];
  readonly callSounds?: SessionDeps['sounds'];
  readonly filler?: SessionDeps['filler'];
  /** Who calls somebody for a session; without it nobody is called. */
  readonly dialler?: LegDialler;
  /** What those hear who wait; plain tones when absent. */
  readonly sounds?: LineSounds;
  /** The other sessions here: two calls of one person become one. Alone without it. */
  readonly others?: {
    /** The place of an answered leg of a session of this project. */
    seatOf(sessionId: string, leg: string, project: string): Seat | undefined;
    readonly wires: Wires;
  };
  /** A session that a program has looked into ends after so long; the reference's hour when absent. */
  readonly maxDurationMs?: number;
}

export interface HostedSessionOptions {
  readonly id: string;
  /** Once; the session is over and everything of it is freed. */
  readonly onEnded: (cause: EndCause) => void;
}

export type LegMediaOptions = Omit<PeerMediaOptions, 'profile' | 'setupTimeoutMs'> & {
  /** Once; all of it is freed. */
  readonly onGone: () => void;
};

/** Whose a session is that nobody claims. */
export const LOCAL_PROJECT = 'default';

/** Long enough for a BYE to be answered and for somebody to hang up. */
const CALL_BACK_AFTER_MS = 2000;

/** A call of ours rings as long as the longest ring, and a browser takes its time after that. */
const OFFERED_SETUP_MS = 330_000;

/** A browser may ask its user for the microphone after it has our answer, or be on a network that lets nothing but TCP through. */
const BROWSER_SETUP_MS = 30_000;

interface HostedFacts {
  /** What the INVITE of a phone says. */
  readonly call?: CallFacts;
  readonly kind: CallView['kind'];
  readonly direction: CallView['direction'];
  readonly project: string;
  readonly ephemeral: boolean;
  /** What it was made with, where somebody said so. */
  settings: SessionSettings | undefined;
  readonly amd?: AmdOptions | undefined;
  /** The caller's media comes by the network that people are on, not from a bridge. */
  isBrowser: boolean;
}

/**
 * One session with what it hangs on: the peer that carries its media and the leg that it commands, or nothing but channels. What ends one of
 * them ends all.
 */
export class HostedSession {
  readonly id: string;
  readonly #deps: HostedSessionDeps;
  readonly #onEnded: HostedSessionOptions['onEnded'];
  readonly #facts: HostedFacts;
  readonly #startedAt: number;
  readonly #log: Logger;
  readonly #session: Session;
  readonly #transfer: TransferWatch;
  readonly #line: PartyLine;
  readonly #persons: Persons;
  readonly #handOvers: HandOvers;
  /** It has a data channel, which opens when the agent has begun to speak. */
  #awaitsClient = false;
  /** Of a call of ours: who has answered? */
  #watch: AnswerWatch | undefined;
  #leg: Leg | undefined;
  #callBack: DialRequest | undefined;
  #media: PeerMedia | undefined;
  /** Who sits in the caller's place now, where that is somebody else. */
  #occupant: Occupant | undefined;
  /** Made when the first program looks in: most calls have none, and cost nothing for it. */
  #surface: RealtimeSurface | undefined;
  #decision: Decision | undefined;
  /** A program has a call sent on before it was answered. */
  #referWhenAnswered: (() => void) | undefined;
  #stopTicking: (() => void) | undefined;
  #answered = false;
  /** To the phone and back; undefined before it has told what it gets. */
  #roundTripMs: number | undefined;
  /** Of a call of ours. */
  #progress: CallProgress | undefined;
  #ended = false;

  /**
   * A session with a leg, pending until its start.
   * @throws GatewayError ERR_BAD_REQUEST (the policy's session object), ERR_INTERNAL; nothing is left of it then
   */
  static async create(
    deps: HostedSessionDeps,
    options: HostedSessionOptions & LegMediaOptions,
    opening: LegWish,
    leg: Leg,
  ): Promise<{ readonly hosted: HostedSession; readonly media: PeerMedia }> {
    const { origin, policy } = opening;
    const facts: HostedFacts = {
      kind: origin.kind,
      direction: origin.direction ?? 'inbound',
      project: policy?.project ?? LOCAL_PROJECT,
      ephemeral: policy?.ephemeral ?? false,
      ...(origin.facts && { call: origin.facts }),
      settings: policy?.session && checkedSession(policy.session, { tools: deps.tools, project: policy.project ?? LOCAL_PROJECT }),
      amd: origin.direction === 'outbound' ? policy?.amd : undefined,
      isBrowser: origin.kind === 'browser' || origin.media === 'browser',
    };
    const hosted = new HostedSession(deps, options, facts, opening);
    hosted.#leg = leg;
    hosted.#callBack = deps.dialler && origin.callBack;
    hosted.#session.attach(leg);
    hosted.#awaitsClient = origin.kind === 'browser' && options.offer.application !== undefined;
    const profile = profileFor(facts.kind, options.audio);
    const media = hosted.#makeMedia({ ...options, profile });
    try {
      await media.open({ audio: options.audio, profile });
    } catch (thrown) {
      // The leg hears of it from whoever opens it, with the reason; a hang-up from here would come first and say less.
      hosted.#session.handleLegEvent({ type: 'ended', cause: 'internal_error' });
      throw thrown;
    }
    if (facts.amd) hosted.#watchAnswer(facts.amd);
    if (policy?.decide.by === 'api') hosted.#await(policy.decide);
    else if (facts.settings || hosted.#awaitsClient) hosted.#ensureSurface();
    return { hosted, media };
  }

  /** A session whose audio goes through channels. It begins at once and ends with its last channel. @throws GatewayError ERR_BAD_REQUEST */
  static connect(deps: HostedSessionDeps, options: HostedSessionOptions, access: Access, session: SessionJson): HostedSession {
    const { project, ephemeral } = access;
    const settings = checkedSession(session, { tools: deps.tools, project });
    const hosted = new HostedSession(deps, options, {
      ...{ kind: 'websocket', direction: 'inbound', project, ephemeral, settings, isBrowser: false },
    });
    hosted.#ensureSurface();
    return hosted;
  }

  private constructor(deps: HostedSessionDeps, options: HostedSessionOptions, facts: HostedFacts, opening?: LegWish) {
    this.id = options.id;
    this.#deps = deps;
    this.#onEnded = options.onEnded;
    this.#facts = facts;
    this.#startedAt = deps.clock.wallclock();
    this.#transfer = new TransferWatch(deps.clock);
    const { origin, policy } = opening ?? {};
    this.#log = deps.log.child({ session: this.id, sipCallId: origin?.sipCallId });
    const { clock, model, createVoiceDetector, sessionMetrics: metrics, tools, callSounds, filler } = deps;
    this.#session = new Session(
      { clock, log: this.#log, model, createVoiceDetector, metrics, tools, sounds: callSounds, filler },
      {
        id: this.id,
        answer: policy?.decide.by === 'api' ? 'manual' : 'at_once',
        mayCallBack: deps.dialler !== undefined && origin?.callBack !== undefined,
        streams: facts.kind === 'websocket',
        // Whoever has a program decide, or is one, says himself when somebody speaks.
        speaksFirst: facts.kind !== 'websocket' && policy?.decide.by !== 'api',
        kind: facts.kind,
        project: facts.project,
        // The peer of a phone's session is the bridge, which says how far the phone is.
        rttMs: () => (facts.isBrowser ? this.#media?.rttMs : this.#roundTripMs),
      },
    );
    this.#session.onEnded = (cause) => this.#finish(cause);
    this.#line = new PartyLine(this.#session, this.#session);
    this.#persons = new Persons(
      {
        ...{
          clock,
          log: this.#log,
          line: this.#line,
          session: this.#session,
          dialler: deps.dialler,
          sounds: deps.sounds ?? personSounds(deps),
        },
        caller: () => ({ kind: facts.kind, answered: this.#answered, leg: this.#leg }),
      },
      this.id,
    );
    this.#handOvers = new HandOvers(
      {
        ...{ clock, log: this.#log, ticker: deps.ticker, dialler: deps.dialler, persons: this.#persons },
        seatOf: (party) => (party === CALLER ? this.#callerSeat() : this.#persons.seatOf(party)),
        seatElsewhere: (sessionId, leg) => deps.others?.seatOf(sessionId, leg, facts.project),
        ...(deps.others && { wires: deps.others.wires }),
      },
      this.id,
    );
  }

  /** Where a leg sits that has answered, and whose place nobody is called to; undefined where that cannot be said. */
  seatOf(leg: string): Seat | undefined {
    const party = this.#handOvers.partyOf(leg);
    const seat = party === CALLER ? this.#callerSeat() : this.#persons.seatOf(party);
    return seat?.isUp && !this.#handOvers.isPending(party) ? seat : undefined;
  }

  /** Is it there for the bearer of this? */
  isOf({ project }: Access): boolean {
    return project === this.#facts.project;
  }

  view(): CallView {
    const { kind, direction, project, call } = this.#facts;
    const state = this.#decision?.isOpen || (this.#leg && !this.#answered) ? 'pending' : 'live';
    return {
      id: this.id,
      project,
      kind,
      direction,
      state,
      startedAt: this.#startedAt,
      legs: this.#persons.views(),
      ...(call && { facts: call }),
    };
  }

  /**
   * The pending session begins to wait for its peer at once. Whether it takes the leg it says on the next turn of the event loop: whoever opened
   * the leg has the answer by then, and has passed it on.
   */
  start(): void {
    if (this.#ended) return;
    const { clock, ticker } = this.#deps;
    if (this.#media) this.#media.start();
    else this.#stopTicking = startMetronome({ clock, ticker }, this.#session);
    if (this.#leg) soon(() => this.#session.start());
    else this.#session.start();
  }

  /** What the leg that the session began with has to say, as long as nobody else sits in its place. */
  handleLegEvent(event: LegEvent): void {
    if (!this.#occupant) this.#handleCaller(event);
  }

  #handleCaller(event: LegEvent): void {
    if (this.#ended) return;
    if (this.#handOvers.takes(CALLER, event)) return;
    if (event.type === 'round_trip') this.#roundTripMs = event.ms;
    if (event.type === 'hold') this.#persons.phoneHolds(CALLER, event.held);
    if (event.type === 'answered' && !this.#answered) this.#handleAnswered();
    if (this.#facts.direction === 'outbound') this.#handleProgress(event);
    // The session may be over with it: what was asked is told first.
    if (event.type === 'transfer') {
      this.#transfer.handle(event);
      this.#persons.handleTransfer(event);
    }
    // Who has answered is not known yet, and the agent says nothing until then.
    if (event.type === 'answered' && this.#watch) this.#watch.begin();
    else this.#session.handleLegEvent(event);
    if (event.type === 'answered') this.#persons.callerAnswered();
  }

  end(cause: EndCause): void {
    this.#session.end(cause);
  }

  /**
   * One more leg: a person who was called for this session, or whoever takes the place of a leg.
   * @throws GatewayError ERR_NOT_FOUND when nobody waits for it; nothing is left open then
   */
  async join(
    name: string,
    { origin }: LegWish,
    leg: Leg,
    { onGone, ...options }: LegMediaOptions,
  ): Promise<{ readonly media: PeerMedia; tell(event: LegEvent): void }> {
    const profile = profileFor(origin.kind, options.audio);
    const isBrowser = origin.kind === 'browser' || origin.media === 'browser';
    const isSuccessor = this.#handOvers.awaits(name);
    const makeMedia = async (session: MediaSession): Promise<PeerMedia> => {
      const onClosed = (reason: string): void => {
        if (isSuccessor) this.#handOvers.lost(name, reason);
        else this.#persons.lost(name, reason === 'remote_closed' ? 'remote_hangup' : 'media_failed');
      };
      // A browser is not there before it has come by the network.
      const onConnected = (): void => this.#persons.arrived(name);
      const media = new PeerMedia(
        { ...this.#deps, log: this.#log },
        { ...options, profile, ...setupTimeout(isBrowser, options) },
        { session, onClosed, onGone, ...(origin.kind === 'browser' ? { onConnected } : {}) },
      );
      await media.open({ audio: options.audio, profile });
      return media;
    };
    const { sipCallId } = origin;
    if (isSuccessor) return this.#handOvers.open(name, { leg, isBrowser, sipCallId }, makeMedia);
    const opened = await this.#persons.open(name, leg, sipCallId, makeMedia);
    return {
      media: opened.media,
      tell: (event) => {
        // Somebody else may sit in its place by now.
        if (this.#persons.seatOf(name)?.leg === leg && !this.#handOvers.takes(name, event)) opened.tell(event);
      },
    };
  }

  /** @throws GatewayError ERR_NOT_FOUND (not accepted, or over), ERR_OVERLOADED */
  attach(access: Access, channel: EventChannel): OpenedChannel {
    if (this.#ended || this.#decision?.isOpen) throw new GatewayError('ERR_NOT_FOUND', 'the call is not accepted');
    const end = this.#open(channel, access);
    if (!end) throw new GatewayError('ERR_OVERLOADED', 'too many channels on this session');
    return { sessionId: this.id, receive: (event) => end.receive(event), close: () => end.close() };
  }

  /** @throws GatewayError as SessionHost.command() */
  async command(command: CallCommand): Promise<void> {
    switch (command.type) {
      case 'accept':
        this.#accept(command);
        return;
      case 'reject':
        checkRefusal(command.status);
        this.#pending().take();
        this.#reject(command.status);
        return;
      case 'refer':
        checkTarget(command.target);
        await this.#refer(command.target, command.headers);
        return;
      case 'person':
        if (this.#ended || this.#decision?.isOpen) throw new GatewayError('ERR_INVALID_STATE', 'the call is not answered');
        await this.#persons.command(command.command);
        return;
      case 'hangup':
        if (this.#decision?.isOpen) this.#decision.take();
        // The first word counts: the farewell that follows has no headers.
        if (command.headers && !this.#ended) this.#leg?.hangup('agent_hangup', command.headers);
        this.end('agent_hangup');
        return;
    }
  }

  snapshot(): unknown {
    return { id: this.id, session: this.#session.snapshot(), ...this.#media?.snapshot() };
  }

  #makeMedia(options: LegMediaOptions & Pick<PeerMediaOptions, 'profile'>): PeerMedia {
    const browser = this.#facts.kind === 'browser';
    const media = new PeerMedia(
      { ...this.#deps, log: this.#log },
      { ...options, ...setupTimeout(this.#facts.isBrowser, options) },
      {
        session: this.#line.caller,
        onClosed: (reason) => this.#peerClosed(reason),
        onGone: options.onGone,
        ...(browser ? { events: { open: (channel) => this.#open(channel, { ...this.#facts, isClient: true }) } } : {}),
      },
    );
    this.#media = media;
    return media;
  }

  #ensureSurface(): RealtimeSurface {
    const { clock, maxDurationMs } = this.#deps;
    const { kind: media, settings = LOCAL_SETTINGS, ephemeral } = this.#facts;
    if (this.#surface) return this.#surface;
    this.#surface = new RealtimeSurface(
      { clock, log: this.#log, session: this.#session, persons: (command) => this.#persons.command(command) },
      {
        ...{ sessionId: this.id, media, settings, ephemeral, awaitsClient: this.#awaitsClient },
        refuseTool: (tool) => this.#deps.tools?.refuse?.(tool, this.#facts.project),
        ...(maxDurationMs === undefined ? {} : { maxDurationMs }),
      },
    );
    if (this.#progress) this.#surface.handleProgress(this.#progress);
    return this.#surface;
  }

  /** The way in for a client of whatever kind; a session without a leg ends with the last of them. */
  #open(
    channel: EventChannel,
    { ephemeral, isClient = false }: { readonly ephemeral: boolean; readonly isClient?: boolean },
  ): { receive(event: string): void; close(): void } | undefined {
    if (this.#ended) return undefined;
    const surface = this.#ensureSurface();
    const end = surface.open(
      {
        send: (event) => channel.send(event),
        close: (code, reason) => {
          channel.close(code, reason);
          this.#endIfAlone();
        },
      },
      { ephemeral, isClient },
    );
    return (
      end && {
        receive: (event) => end.receive(event),
        close: () => {
          end.close();
          this.#endIfAlone();
        },
      }
    );
  }

  #endIfAlone(): void {
    if (this.#facts.kind !== 'websocket' || this.#ended) return;
    // The surface may be in the middle of letting the channel go.
    soon(() => {
      if (this.#surface?.channels === 0) this.end('remote_hangup');
    });
  }

  #await({
    withinMs,
    otherwise,
  }: {
    readonly withinMs: number;
    readonly otherwise: { type: 'answer' } | { type: 'reject'; status: number };
  }): void {
    this.#decision = new Decision(this.#deps.clock, withinMs, () => {
      this.#log.info({ otherwise: otherwise.type }, 'no decision in time');
      if (otherwise.type === 'reject') {
        this.#reject(otherwise.status);
        return;
      }
      if (this.#facts.settings) this.#ensureSurface();
      // No program will say when somebody speaks.
      this.#session.accept({ speaksFirst: true });
    });
  }

  /** @throws GatewayError ERR_INVALID_STATE when nobody is asked, or somebody has decided */
  #pending(): Decision {
    if (!this.#decision) throw new GatewayError('ERR_INVALID_STATE', 'nobody is asked about this call');
    return this.#decision;
  }

  #accept({ session, agentAway }: Extract<CallCommand, { type: 'accept' }>): void {
    const decision = this.#pending();
    const settings = decision.isOpen ? checkedSession(session, { tools: this.#deps.tools, project: this.#facts.project }) : undefined;
    decision.take();
    if (settings) this.#configure(settings);
    if (agentAway) this.#persons.keepAgentAway(agentAway);
    this.#session.accept();
  }

  #configure(settings: SessionSettings): void {
    if (this.#surface) this.#surface.configure(settings);
    else {
      this.#facts.settings = settings;
      this.#ensureSurface();
    }
  }

  #reject(status: number): void {
    this.#leg?.reject('declined', status);
    this.end('rejected');
  }

  async #refer(target: string, headers: readonly LegHeader[] | undefined): Promise<void> {
    const leg = this.#leg;
    const refer = leg?.refer?.bind(leg, target, headers);
    if (!leg || !refer || this.#facts.kind !== 'phone') throw new GatewayError('ERR_INVALID_STATE', 'only a phone can be sent on');
    if (this.#decision?.isOpen) this.#decision.take();
    if (this.#answered) return this.#transfer.begin(refer);
    // Who sends a call on that waits takes it first: there is nobody yet who could be sent.
    if (this.#referWhenAnswered) throw new GatewayError('ERR_INVALID_STATE', 'a transfer is under way');
    return this.#transfer.begin(() => {
      this.#referWhenAnswered = refer;
      this.#session.accept();
    });
  }

  /** What becomes of a call of ours. */
  #handleProgress(event: LegEvent): void {
    // The session would end without the status.
    if (event.type === 'ended') this.#surface?.end(event.cause, event.status);
    if (event.type !== 'ringing' && event.type !== 'answered') return;
    this.#progress = event.type;
    this.#surface?.handleProgress(event.type);
  }

  /** Finds out who answers. */
  #watchAnswer(amd: AmdOptions): void {
    const watch = new AnswerWatch(this.#deps.clock, amd, {
      onAnswered: (answered) => {
        this.#log.info({ ...answered }, 'answered by');
        this.#session.tell({ type: 'answered_by', leg: CALLER, ...answered });
      },
      onDecided: (what) => {
        this.#line.onCallerFrame = undefined;
        if (what === 'go_on') this.#session.handleLegEvent({ type: 'answered' });
        else this.#session.end('agent_hangup');
      },
    });
    this.#watch = watch;
    this.#line.onCallerFrame = (pcm, concealed) => watch.handleFrame(pcm, concealed);
  }

  #handleAnswered(): void {
    this.#answered = true;
    this.#media?.answered();
    const refer = this.#referWhenAnswered;
    this.#referWhenAnswered = undefined;
    if (refer) soon(() => this.#ended || refer());
  }

  /** Where the leg sits that the session began with, or whoever took its place. */
  #callerSeat(): Seat | undefined {
    const hosted = this;
    if (!this.#leg) return undefined;
    return {
      ...{ sessionId: this.id, party: CALLER, line: this.#line.caller },
      get leg() {
        return hosted.#leg as Leg;
      },
      get isUp() {
        return hosted.#answered && !hosted.#ended;
      },
      tell: (event) => this.#handleCaller(event),
      lost: (reason) => this.#peerClosed(reason),
      take: (next) => this.#seat(next),
    };
  }

  #seat(next: Occupant): void {
    const media = this.#closeMedia();
    this.#leg?.report(this.#summary(media?.uplink));
    this.#occupant = next;
    this.#leg = next.leg;
    this.#media = next.peer;
    this.#facts.isBrowser = next.isBrowser ?? false;
    this.#roundTripMs = undefined;
    // Who would be called back is another one now.
    this.#callBack = undefined;
    this.#session.attach(next.leg);
    next.media.answered();
    this.#persons.phoneHolds(CALLER, false);
  }

  #closeMedia(): MediaSnapshot | undefined {
    return this.#occupant ? this.#occupant.media.close() : this.#media?.close();
  }

  #peerClosed(reason: string): void {
    if (this.#ended) return;
    // A goodbye is told by the closing line.
    if (reason !== 'remote_closed') this.#log.info({ reason, peer: this.#media?.peer.snapshot() }, 'media connection closed');
    this.#session.end(reason === 'remote_closed' ? 'remote_hangup' : 'media_failed');
  }

  #finish(cause: EndCause): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#decision?.close();
    this.#stopTicking?.();
    this.#handOvers.end();
    this.#persons.end();
    this.#watch?.end();
    this.#surface?.end(cause);
    const peer = this.#media?.peer.snapshot();
    const media = this.#closeMedia();
    const summary = this.#summary(media?.uplink);
    this.#log.info({ cause, ...summary }, 'session ended');
    this.#log.debug({ media, peer }, 'session figures');
    this.#transfer.end();
    this.#onEnded(cause);
    this.#leg?.report(summary);
    if (this.#session.callBackWanted && cause === 'agent_hangup') this.#dialBack();
  }

  /** The phone must be back on the hook before it can ring. */
  #dialBack(): void {
    const { dialler, clock } = this.#deps;
    const request = this.#callBack;
    if (!dialler || !request) return;
    clock.setTimer(CALL_BACK_AFTER_MS, () => {
      dialler.dial(request).catch((thrown: unknown) => this.#log.warn({ err: thrown }, 'call back refused'));
    });
  }

  #summary(uplink: { frames: number; concealedFrames: number } | undefined): SessionSummary {
    const { turns, bargeIns, responseLatencyMs, ledger } = this.#session.snapshot();
    const latency = responseLatencyMs.all.length > 0 ? { p50: responseLatencyMs.median, p95: responseLatencyMs.p95 } : undefined;
    return {
      turns,
      bargeIns,
      responseLatencyMs: latency as SessionSummary['responseLatencyMs'],
      concealedFrames: uplink?.concealedFrames ?? 0,
      uplinkFrames: uplink?.frames ?? 0,
      ledger,
    };
  }
}

function setupTimeout(isBrowser: boolean, { awaitsAnswer }: Pick<LegMediaOptions, 'awaitsAnswer'>): { setupTimeoutMs?: number } {
  if (!isBrowser) return {};
  return { setupTimeoutMs: awaitsAnswer ? OFFERED_SETUP_MS : BROWSER_SETUP_MS };
}

/** What those hear who wait for a person. */
function personSounds({ callSounds }: HostedSessionDeps): LineSounds {
  return callSounds ? { ...plainSounds(), music: callSounds.music } : plainSounds();
}
