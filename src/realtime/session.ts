import type { Timer } from '../base/clock.ts';
import type { EndCause, Leg, LegEvent } from '../leg/leg.ts';
import type { ConversationCommands } from './conversation-commands.ts';
import { type CallWish, Floor } from './floor.ts';
import { type CallFigures, MODEL_FRAME_SAMPLES } from './model.ts';
import { samplesToMs } from './playout-ledger.ts';
import { type CallerObserver, SecureMask } from './secure-mask.ts';
import type { SessionConfig } from './session-config.ts';
import type { Audience, CommandFault, PersonNews, SessionEvent } from './session-event.ts';
import type { SessionDeps, SessionOptions, SessionSnapshot } from './session-options.ts';
import { SessionStatistics } from './session-statistics.ts';
import type { Entry, EntryRules } from './tools/digit-collector.ts';
import { KeyEntries, type RunningEntry } from './tools/key-entry.ts';
import { SessionCall } from './tools/session-call.ts';
import { SessionSources } from './tools/tool-catalogue.ts';

/** After the last audio frame the call goes on for so long, or the end of "goodbye" is lost in the far end's buffer. */
const HANG_UP_AFTER_MS = 200;

/** When nothing pulls audio any more, a call that is to end ends this long after its audio should have. */
const HANG_UP_SLACK_MS = 2000;

/** A hole longer than this is one of five seconds: nothing learns more from a longer silence. */
const MOST_SILENT_FRAMES = 250;

const NOT_LIVE: CommandFault = { code: 'invalid_state', message: 'The call is not answered, or over.' };

const SILENCE = new Int16Array(MODEL_FRAME_SAMPLES);

/**
 * A conversation between a caller and a model, from the first ring to the hang-up: whose turn it is, what is said and what
 * of it left on the wire. Knows the world only through its leg, and no protocol's event names.
 */
export class Session {
  /** Called once, when the conversation is over. */
  onEnded: ((cause: EndCause) => void) | undefined;
  /** Called with each pull: where streamed audio that waits is heard. */
  onPull: ((now: number) => void) | undefined;
  readonly #deps: SessionDeps;
  readonly #options: SessionOptions;
  readonly #audience: Audience = { listener: undefined };
  readonly #statistics: SessionStatistics;
  readonly #floor: Floor;
  readonly #sources: SessionSources;
  /** Whatever comes of the caller goes through here first. */
  readonly #mask = new SecureMask();
  readonly #entries: KeyEntries;
  /** The call, for tools. */
  readonly #call: SessionCall;
  #leg: Leg | undefined;
  #speaksFirst: boolean;
  #answered = false;
  #ended = false;
  #answeredAt = 0;
  #callBackWanted = false;
  /** The call is to end, for this cause, when all is played. */
  #closing: EndCause | undefined;
  #hangUpTimer: Timer | undefined;

  constructor(deps: SessionDeps, options: SessionOptions = {}) {
    const { clock, log, model } = deps;
    this.#deps = deps;
    this.#options = options;
    this.#speaksFirst = options.speaksFirst ?? true;
    const session = this;
    this.#statistics = new SessionStatistics(deps.metrics, options.kind ?? 'phone');
    this.#floor = new Floor(
      {
        clock,
        log,
        model,
        detector: deps.createVoiceDetector(),
        statistics: this.#statistics,
        audience: this.#audience,
        predictor: deps.predictor,
        sounds: deps.sounds,
        filler: deps.filler,
      },
      {
        turns: options.turns,
        streams: options.streams ?? false,
        uplinkWhileSpeaking: options.uplinkWhileSpeaking,
        keysInterrupt: options.keysInterrupt ?? true,
        rttMs: options.rttMs ?? (() => undefined),
        call: {
          mayCallBack: options.mayCallBack ?? false,
          get speaksFirst() {
            return session.#speaksFirst;
          },
          statistics: () => this.#figures(),
        },
        onCallWish: (wish, now) => this.#grant(wish, now),
      },
    );
    this.#entries = new KeyEntries({ clock, mask: this.#mask, audience: this.#audience });
    this.#call = this.#createCall();
    this.#sources = new SessionSources(deps.tools, {
      clock,
      log,
      call: this.#call,
      project: options.project ?? '',
      sessionId: options.id ?? '',
    });
    if (this.#sources.all.length > 0) this.#floor.tools.setSources(this.#sources.all);
  }

  /** Items and responses, for programs. */
  get commands(): ConversationCommands {
    return this.#floor.commands;
  }

  attach(leg: Leg): void {
    this.#leg = leg;
    this.#floor.tools.refresh();
  }

  /** Everything that happens from now on is told to this listener; undefined: to nobody. */
  observe(listener: ((event: SessionEvent) => void) | undefined): void {
    this.#audience.listener = listener;
  }

  /** How the conversation shall be from now on: before it starts, or in the middle of it. */
  configure(config: SessionConfig): void {
    if (this.#ended) return;
    const named = this.#sources.name(config.hosted ?? []);
    if (config.transcribeOnly) this.#floor.tools.setSources([]);
    else if (named) this.#floor.tools.setSources(this.#sources.all);
    this.#floor.configure(config, this.#deps.clock.now());
  }

  /** The leg is there: decides what becomes of it. */
  start(): void {
    if (this.#ended) return;
    this.#floor.tools.begin();
    if ((this.#options.answer ?? 'at_once') === 'at_once') this.accept();
  }

  /** Takes the call. A session without a leg begins. @param options.speaksFirst when that is known only now */
  accept(options: { readonly speaksFirst?: boolean } = {}): void {
    if (this.#ended || this.#answered) return;
    this.#speaksFirst = options.speaksFirst ?? this.#speaksFirst;
    if (this.#leg) this.#leg.answer();
    else this.#begin();
  }

  handleLegEvent(event: LegEvent): void {
    if (this.#ended) return;
    switch (event.type) {
      case 'answered':
        this.#begin();
        break;
      case 'dtmf':
        this.#handleKey(event.digit);
        break;
      case 'hold':
        this.#audience.listener?.({ type: 'hold', held: event.held });
        break;
      case 'ringing':
      case 'round_trip':
      // Who takes the leg's place is not the conversation's affair.
      case 'refer':
      case 'replaces':
        break;
      case 'transfer':
        this.#handleTransfer(event);
        break;
      case 'ended':
        this.#leg = undefined;
        this.end(event.cause);
        break;
    }
  }

  /** 20 ms of the caller's audio, 480 samples at 24 kHz. The buffer is not kept. */
  handleUplink(pcm: Int16Array, flags: { readonly concealed: boolean }, now: number): void {
    if (this.#answered && !this.#ended) this.#floor.hear(this.#mask.audio(pcm, now), flags.concealed, now);
  }

  /** The caller's audio has a hole of so many frames that is known to be silence. */
  handleUplinkSilence(frames: number, now: number): void {
    for (let n = 0; n < Math.min(frames, MOST_SILENT_FRAMES); n++) this.handleUplink(SILENCE, { concealed: false }, now);
  }

  /** The next 20 ms towards the caller, 480 samples; false when they are silence. The pacer calls this once a frame: what is pulled counts as sent. */
  pullDownlink(out: Int16Array, now: number): boolean {
    if (this.#ended || !this.#answered) {
      out.fill(0);
      return false;
    }
    this.onPull?.(now);
    const sounded = this.#floor.pull(out, now);
    this.#call.handlePull(now);
    if (this.#closing && !this.#ended && this.#floor.isQuiet(HANG_UP_AFTER_MS, now)) this.end(this.#closing);
    return sounded;
  }

  /** What was heard and is not committed becomes a turn; nobody answers it until asked. */
  commitInput(): CommandFault | undefined {
    return this.#isLive ? this.#floor.commitInput(this.#deps.clock.now()) : NOT_LIVE;
  }

  /** What was heard and is not committed will be no turn. */
  clearInput(): void {
    if (!this.#ended) this.#floor.clearInput(this.#deps.clock.now());
  }

  /** Stops what is on the wire and all that waits to be. Responses that are still being made go on. */
  clearOutput(): void {
    if (this.#isLive) this.#floor.clearOutput(this.#deps.clock.now());
  }

  /** Presses keys towards the phone. */
  sendDtmf(digits: string): CommandFault | undefined {
    if (!this.#isLive) return NOT_LIVE;
    if (!this.#leg?.sendDtmf) return { code: 'unsupported', message: 'This session has no telephone to press keys on.' };
    this.#leg.sendDtmf(digits);
    this.#audience.listener?.({ type: 'dtmf_sent', digits });
    return undefined;
  }

  /** The agent takes no part until `resume`: the caller talks to a person. */
  pause(): void {
    if (!this.#isLive) return;
    this.#call.pause();
    this.#floor.pause(this.#deps.clock.now());
  }

  resume(): void {
    if (this.#isLive) this.#floor.resume(this.#deps.clock.now());
  }

  /** What the owner of the session knows and the conversation does not: persons that come and go. */
  tell(event: PersonNews): void {
    if (!this.#ended) this.#audience.listener?.(event);
  }

  /**
   * The next keys of the caller go to this program alone, the agent's speech aside, which they stop.
   * @param secure nobody else knows them, and nobody hears the caller meanwhile
   */
  collectKeys(rules: EntryRules, secure: boolean, onEntry: (entry: Entry) => void): RunningEntry | CommandFault {
    if (!this.#isLive) return NOT_LIVE;
    if (!this.#leg) return { code: 'unsupported', message: 'This session has no keys.' };
    return this.#entries.begin({ rules, secure, onEntry });
  }

  /** Whichever keys are collected: no more. What was typed so far goes to whoever asked for it. */
  stopCollecting(): void {
    this.#entries.stop('stopped');
  }

  /** Who takes what is entered secretly when a tool asks for it; undefined: nobody, and then no tool can ask. */
  set receiver(receiver: ((entry: Entry) => void) | undefined) {
    this.#call.receiver = receiver;
  }

  /** A frame of the caller as others than this session may have it: those it talks to. */
  masked(pcm: Int16Array, now: number): Int16Array {
    return this.#mask.masked(pcm, now);
  }

  /** Do the caller's keys go to whoever collects them, or to nobody? */
  get isCollecting(): boolean {
    return this.#entries.isCollecting || this.#mask.isOn(this.#deps.clock.now());
  }

  /** What is known of the caller: for whatever records or traces a session. */
  observeCaller(observer: CallerObserver): () => void {
    return this.#mask.observe(observer);
  }

  /** Ends the conversation and hangs up. Idempotent. */
  end(cause: EndCause): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#hangUpTimer?.cancel();
    this.#call.close();
    this.#floor.close();
    this.#entries.stop('ended');
    this.#leg?.hangup(cause);
    this.#leg = undefined;
    this.#audience.listener?.({ type: 'ended', cause });
    this.onEnded?.(cause);
  }

  snapshot(): SessionSnapshot {
    const { playout, turnState, heardMs } = this.#floor;
    return {
      ...this.#statistics.snapshot(),
      state: turnState,
      heardMs,
      playoutQueueMs: playout.queuedMs,
      playoutDroppedMs: playout.droppedMs,
      items: playout.entries.map(({ itemId, receivedSamples, sentSamples }) => ({
        itemId,
        receivedMs: samplesToMs(receivedSamples),
        sentMs: samplesToMs(sentSamples),
      })),
    };
  }

  /** Does the model want the caller called back, now that the call is over? */
  get callBackWanted(): boolean {
    return this.#callBackWanted;
  }

  /** Has the agent spoken already? Its voice is what it is then. */
  get hasSpoken(): boolean {
    return this.#floor.conversation.hasSpoken;
  }

  get #isLive(): boolean {
    return this.#answered && !this.#ended;
  }

  /** The caller talks to somebody else when the transfer has succeeded; the model has it back when it has not. */
  #handleTransfer({ state, status }: Extract<LegEvent, { readonly type: 'transfer' }>): void {
    this.#deps.log.info({ state }, 'transfer');
    this.#audience.listener?.({ type: 'transfer', state, status });
    if (state === 'succeeded') this.#call.handleTransferred({ type: 'succeeded' });
    else if (state === 'failed') this.#call.handleTransferred({ type: 'failed', status });
    if (state === 'succeeded') {
      this.end('agent_hangup');
      return;
    }
    const { link } = this.#floor;
    link.expectResponse();
    link.connection.transferred?.(state);
    this.#floor.drain(this.#deps.clock.now());
  }

  #createCall(): SessionCall {
    const { clock } = this.#deps;
    return new SessionCall(
      {
        clock,
        leg: () => this.#leg,
        isLive: () => this.#isLive,
        isQuiet: (now) => !this.#floor.link.isBusy && this.#floor.isQuiet(HANG_UP_AFTER_MS, now),
        playMusic: (forMs) => this.#floor.playMusic(forMs, clock.now()),
        hangUp: () => this.#endWhenPlayed('agent_hangup', clock.now()),
        sendDtmf: (digits) => this.sendDtmf(digits),
        collectKeys: (rules, secure, onEntry) => this.collectKeys(rules, secure, onEntry),
      },
      { isCall: !(this.#options.streams ?? false) },
    );
  }

  #figures(): CallFigures {
    const { turns, responseLatencyMs } = this.#statistics.snapshot();
    return {
      durationMs: this.#answered ? this.#deps.clock.now() - this.#answeredAt : 0,
      turns,
      responseMs: responseLatencyMs.all.length > 0 ? responseLatencyMs.median : undefined,
      lostPercent: this.#floor.lostPercent,
    };
  }

  #begin(): void {
    if (this.#answered) return;
    const now = this.#deps.clock.now();
    this.#answered = true;
    this.#answeredAt = now;
    this.#floor.begin(now);
  }

  #handleKey(digit: string): void {
    if (!this.#answered || this.#closing) return;
    const now = this.#deps.clock.now();
    const known = this.#mask.key(digit, now);
    if (known !== undefined) this.#audience.listener?.({ type: 'dtmf', digit: known });
    if (this.#entries.isCollecting) {
      this.#floor.interruptByKey(now);
      this.#entries.handleKey(digit);
    } else if (known !== undefined) this.#floor.handleKey(known, now);
  }

  /** What the model wants of the call. */
  #grant(wish: CallWish, now: number): void {
    switch (wish.type) {
      case 'hangup':
        this.#endWhenPlayed('agent_hangup', now);
        break;
      case 'call_back':
        this.#callBackWanted = this.#options.mayCallBack ?? false;
        this.#endWhenPlayed('agent_hangup', now);
        break;
      case 'transfer':
        if (this.#leg?.refer) this.#leg.refer(wish.target);
        else this.#floor.link.connection.transferred?.('failed');
        break;
      case 'closed':
        this.#deps.log.warn({ reason: wish.reason, model: this.#deps.model.name }, 'model connection lost');
        this.#endWhenPlayed('internal_error', now);
        break;
    }
  }

  #endWhenPlayed(cause: EndCause, now: number): void {
    this.#floor.beginClosing(now);
    if (this.#closing) return;
    this.#closing = cause;
    const deadlineMs = this.#floor.playout.queuedMs + HANG_UP_AFTER_MS + HANG_UP_SLACK_MS;
    this.#hangUpTimer = this.#deps.clock.setTimer(deadlineMs, () => this.end(cause));
  }
}
