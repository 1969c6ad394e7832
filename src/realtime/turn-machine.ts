import type { Machine } from '../base/driver.ts';
import { asksForFloor, isAcknowledgement } from './caller-words.ts';
import { EndOfTurnWait } from './end-of-turn.ts';
import type { TurnOptions } from './turn-options.ts';
import type { AgentSpeech, HeardFrame, Rejection, TurnOutput } from './turn-output.ts';
import { TURN_TABLE, type TurnAction, type TurnEvent, type TurnState } from './turn-table.ts';
import type { FloorHolder } from './uplink-rule.ts';
import { VoiceGate } from './voice-gate.ts';

/** The agent begins or ends in the middle of a caller's first syllable: the syllable counts all the same. */
const KEEPS_EVIDENCE: ReadonlySet<TurnEvent> = new Set(['audio_started', 'audio_ended', 'audio_stalled', 'nothing_to_say', 'prepare_due']);

const NEVER = Number.NEGATIVE_INFINITY;

/** A server that has not ended a turn after so much silence does not hear it: none waits longer than 8 s by itself. */
const SERVER_DEAF_MS = 9000;

/** How a turn ends that interrupted us and of which the server has not said that it began: as a patient gateway would end it. */
const UNHEARD_RULE = { type: 'pause_adaptive', z: 1.6 } as const;

/** A pause this much longer than the silence so far makes a preparation worth its while. */
const WORTH_PREPARING_MS = 40;

/** A question whose end is this near has been heard: what comes now answers it. */
const HEARD_SHARE = 0.8;

/**
 * Whose turn it is: one table (turn-table.ts) moved by frames of the caller's audio, by the agent's playout and by time.
 * Durations of speech and silence are counted in the caller's audio, deadlines in time, so late packets change nothing.
 */
export class TurnMachine implements Machine<TurnOutput> {
  #options: TurnOptions;
  readonly #agent: AgentSpeech;
  readonly #wait = new EndOfTurnWait();
  readonly #gate = new VoiceGate();
  readonly #outputs: TurnOutput[] = [];
  #state: TurnState = 'off';
  #heardMs = 0;
  // The turn that is spoken or was spoken last.
  #turnStartMs = 0;
  #turnEndMs = 0;
  #lastVoicedMs = 0;
  #lastVoicedAt = 0;
  /** The same, leftovers not counted: what answers are measured from. */
  #lastSoundAt = 0;
  /** Where the speech without a gap that runs began. */
  #spokenFromMs = 0;
  #continued = false;
  /** The model's server said that it began. */
  #knownUpstream = false;
  #preparations = 0;
  #committedAt = NEVER;
  // The agent's speech.
  #speeches = 0;
  #speechStartedAt = NEVER;
  #speechEndedAt = NEVER;
  // The hold that runs, and the last one that was rejected.
  #heldAt = NEVER;
  #burstStartMs = 0;
  #burstVoicedMs = 0;
  /** The end of its last frame that was not quiet. */
  #burstSoundMs = 0;
  #collision = false;
  #wordsSought = false;
  #rejectedAt = NEVER;
  /** The last one that a person may have meant: neither an "uh-huh", nor our echo from a line that is not known. */
  #burstRejectedAt = NEVER;
  #rejection: Rejection = 'short';

  constructor(agent: AgentSpeech, options: TurnOptions) {
    this.#agent = agent;
    this.#options = options;
  }

  get state(): TurnState {
    return this.#state;
  }

  /** From now on; a turn that is being spoken goes on under the new rules. */
  setOptions(options: TurnOptions): void {
    this.#options = options;
  }

  /** Does the model's server decide about turns? */
  get isLeftToModel(): boolean {
    return this.#options.endOfTurn.type === 'upstream';
  }

  /** May audio leave? Nobody speaks over a caller who may interrupt, and what is held stays held. */
  get mayPlay(): boolean {
    if (this.#options.bargeIn === 'never') return this.#state !== 'held';
    return this.#state !== 'user' && this.#state !== 'gap' && this.#state !== 'prepared' && this.#state !== 'held';
  }

  /** Who seems to have the floor: a caller who has just begun, too. */
  get holder(): FloorHolder {
    if (this.#isInTurn || this.#state === 'held' || this.#gate.evidenceMs >= this.#options.onsetEvidenceMs) return 'caller';
    return this.#state === 'agent' ? 'agent' : 'nobody';
  }

  /** How long a caller may be silent now before the turn is over. */
  get waitMs(): number {
    if (!this.isLeftToModel) return this.#wait.waitMs(this.#options.endOfTurn);
    return this.#knownUpstream ? SERVER_DEAF_MS : this.#wait.waitMs(UNHEARD_RULE);
  }

  /** Something of ours leaves that is no speech of the agent: what comes back of it is an echo all the same. */
  notePlaying(now: number): void {
    this.#speechEndedAt = now;
  }

  pollOutput(): TurnOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#state === 'held' ? this.#heldAt + this.#options.verdictMs : undefined;
  }

  handleTimeout(now: number): void {
    const at = this.nextTimeout();
    if (at !== undefined && now >= at) this.#expire('no_verdict', now);
  }

  /** Something happened that is not heard: on the playout, at the model, on the keys. */
  handle(event: TurnEvent, now: number): void {
    if (event === 'audio_started' && this.#options.bargeIn === 'never') {
      // Nobody takes the floor from whom it does not matter to: only our own echo is to be known as such.
      this.#speechEndedAt = now;
      this.handle('nothing_to_say', now);
      return;
    }
    const row = TURN_TABLE[this.#state][event];
    if (!row) return;
    for (const action of row.do) this.#act(action, event, now);
    this.#state = row.to;
    if (!KEEPS_EVIDENCE.has(event)) this.#gate.clearEvidence();
  }

  /** Every 20 ms of the caller's audio, in order. */
  handleFrame(frame: HeardFrame, now: number): void {
    this.#heardMs = frame.heardMs;
    if (this.#state === 'off' || this.#state === 'lost') return;
    const near =
      frame.levelDb >= this.#options.quietestDb &&
      this.#gate.isNear(frame, this.#isGuarded(now)) &&
      (!this.#isInTurn || this.#standsOut(frame));
    // A made-up frame is never evidence of a voice, but silence is silence.
    if (!(frame.concealed && near)) this.#gate.count(near, frame, now, this.#state === 'agent');
    switch (this.#state) {
      case 'user':
        this.#inTurn(frame, near, now);
        break;
      case 'gap':
      case 'prepared':
        this.#inGap(frame, now);
        break;
      case 'held':
        this.#inHold(frame, near, now);
        break;
      default:
        this.#awaitOnset(frame, now);
    }
  }

  /** What the caller says, as a streaming transcript has it so far; replaces what it had before. */
  handleWords(words: string, now: number): void {
    const { lexicon, lateWordsMs } = this.#options;
    if (this.#isInTurn) {
      this.#wait.setWords(words, this.#agent.asked(), lexicon);
    } else if (!lexicon) {
      // Words that nobody here understands judge no hold.
    } else if (this.#state === 'held') {
      this.#wait.setWords(words);
      if (asksForFloor(words, lexicon)) this.handle('hold_interrupted', now);
    } else if (this.#state === 'agent' && now - this.#rejectedAt <= lateWordsMs && asksForFloor(words, lexicon)) {
      // The hold was over before its words were there: "stop" is as short as "yeah".
      this.#forgetRejection();
      this.handle('hold_overruled', now);
    } else if (this.#state === 'agent' && isAcknowledgement(words, lexicon)) this.#forgetRejection(); // the second "uh-huh" is still one
  }

  /** What an outside judge says of the gap that runs; of another one it is no news. */
  handlePrediction(probability: number | undefined, gapEndMs: number): void {
    if (gapEndMs === this.#lastVoicedMs && this.#isInTurn) this.#wait.setProbability(probability);
  }

  /** Where the model's server decides about turns: the caller began or ended one there. `atMs` counts the caller's audio. */
  handleUpstream(event: 'started' | 'ended', atMs: number, now: number): void {
    if (!this.isLeftToModel) return;
    if (event === 'ended') {
      this.#lastVoicedMs = Math.max(this.#turnStartMs, Math.min(atMs, this.#heardMs));
      this.#lastVoicedAt = now - (this.#heardMs - this.#lastVoicedMs);
      this.#lastSoundAt = this.#lastVoicedAt;
      this.handle('ended_upstream', now);
      return;
    }
    if (!this.#isInTurn) {
      this.#burstStartMs = Math.min(atMs, this.#heardMs);
      this.handle(this.#state === 'agent' ? 'onset_at_once' : this.#state === 'held' ? 'hold_interrupted' : 'onset', now);
      // It may hear what we do not: its silence begins here.
      this.#lastVoicedMs = this.#heardMs;
      this.#lastVoicedAt = now;
      this.#spokenFromMs = this.#heardMs;
    }
    this.#knownUpstream = true;
  }

  get #isInTurn(): boolean {
    return this.#state === 'user' || this.#state === 'gap' || this.#state === 'prepared';
  }

  /** Speech that has gone on for long without any gap is likely to be noise, whatever was measured of it. */
  #standsOut(frame: HeardFrame): boolean {
    return this.#gate.standsOut(frame, frame.heardMs - this.#spokenFromMs >= this.#options.noisyAfterMs);
  }

  #isGuarded(now: number): boolean {
    return this.#state === 'agent' || this.#state === 'held' || now - this.#speechEndedAt < this.#options.echoTailMs;
  }

  #awaitOnset(frame: HeardFrame, now: number): void {
    // Nobody waits for a server across the world to fall silent.
    if (this.isLeftToModel && (this.#state !== 'agent' || this.#options.bargeIn !== 'hold')) return;
    const cold = this.#state === 'agent' && this.#speeches === 1 && now - this.#speechStartedAt < this.#options.coldMs;
    if (this.#gate.evidenceMs < (cold ? this.#options.coldEvidenceMs : this.#options.onsetEvidenceMs)) return;
    if (this.#state === 'agent' && this.#options.bargeIn === 'at_once') {
      this.#onset('onset_at_once', frame, now);
      return;
    }
    const soon = this.#state === 'waiting' && now - this.#committedAt <= this.#options.continuationMs;
    const short = frame.heardMs - this.#turnStartMs < this.#options.longestTurnMs;
    this.#onset(soon && short ? 'continuation' : 'onset', frame, now);
  }

  #onset(event: TurnEvent, frame: HeardFrame, now: number): void {
    // Actions look back at the last turn's voice, so what is heard now is noted after them.
    this.handle(event, now);
    this.#noteVoice(frame, now);
    this.#spokenFromMs = frame.heardMs;
  }

  #inTurn(frame: HeardFrame, near: boolean, now: number): void {
    if (near) this.#noteVoice(frame, now);
    if (frame.heardMs - this.#turnStartMs >= this.#options.longestTurnMs) this.handle('turn_too_long', now);
    else if (frame.heardMs - this.#lastVoicedMs >= this.#options.gapMs) this.handle('paused', now);
  }

  #inGap(frame: HeardFrame, now: number): void {
    const { evidenceMs } = this.#gate;
    const silenceMs = frame.heardMs - this.#lastVoicedMs;
    const { waitMs } = this;
    if (evidenceMs >= this.#options.onsetEvidenceMs) this.#onset('onset', frame, now);
    // With evidence that the caller goes on, the decision waits for the next frame.
    else if (evidenceMs === 0 && silenceMs >= waitMs) this.handle('wait_over', now);
    else if (evidenceMs === 0 && this.#isWorthPreparing(silenceMs, waitMs)) this.handle('prepare_due', now);
  }

  #isWorthPreparing(silenceMs: number, waitMs: number): boolean {
    const { prepares, prepareAtMs, mostPreparations, prepareUntilMs } = this.#options;
    if (!prepares || this.#state !== 'gap' || silenceMs < prepareAtMs || waitMs - silenceMs < WORTH_PREPARING_MS) return false;
    return this.#preparations < mostPreparations && this.#lastVoicedMs - this.#turnStartMs <= prepareUntilMs && !this.#wait.isOpen;
  }

  #inHold(frame: HeardFrame, near: boolean, now: number): void {
    const { interruptSpanMs, interruptVoicedMs } = this.#options;
    if (near || !this.#gate.isQuiet(frame)) this.#burstSoundMs = frame.heardMs;
    if (near) {
      this.#noteVoice(frame, now);
      this.#burstVoicedMs += frame.concealed ? 0 : 20;
      this.#wordsSought = false;
    } else if (this.#options.findsWords && !this.#wordsSought && frame.heardMs - this.#lastVoicedMs >= this.#options.gapMs) {
      this.#wordsSought = true;
      const startMs = Math.max(0, this.#burstStartMs - this.#options.prefixMs);
      this.#outputs.push({ type: 'find_words', startMs, endMs: this.#endOfVoiceMs });
    }
    const spanMs = this.#lastVoicedMs - this.#burstStartMs;
    if (spanMs >= interruptSpanMs && this.#burstVoicedMs >= interruptVoicedMs) this.handle('hold_interrupted', now);
    else if (this.#isBurstOver(frame, now)) this.#judge(spanMs, now);
    else if (now - this.#heldAt >= this.#options.verdictMs) this.#expire('no_verdict', now);
  }

  #isBurstOver({ heardMs }: HeardFrame, now: number): boolean {
    const { resumeSilenceMs, resumeByMs, resumeSoonMs, resumeQuietMs } = this.#options;
    const silenceMs = heardMs - this.#lastVoicedMs;
    if (now - this.#heldAt < resumeByMs) return silenceMs >= resumeSilenceMs;
    return silenceMs >= resumeSoonMs || heardMs - this.#burstSoundMs >= resumeQuietMs;
  }

  /** The burst is over and was too short for an interruption by itself. */
  #judge(spanMs: number, now: number): void {
    const { collisionBurstMs, secondBurstMs, echoStopsMs } = this.#options;
    const { words } = this.#wait;
    const echo = words === '' && this.#lastVoicedAt - this.#heldAt <= echoStopsMs && this.#gate.learnEcho();
    if (this.#collision) {
      this.#rejection = echo ? 'echo' : 'short';
      this.handle(echo || spanMs < collisionBurstMs ? 'hold_restarted' : 'hold_answered', now);
    } else if (echo) this.#reject('echo', now);
    else if (this.#isAnswer(spanMs)) this.handle('hold_answered', now);
    else if (words !== '') this.#judgeWords(words, now);
    else if (this.#heldAt - this.#burstRejectedAt <= secondBurstMs) this.handle('hold_answered', now);
    else this.#expire('short', now);
  }

  #judgeWords(words: string, now: number): void {
    if (this.#options.lexicon && isAcknowledgement(words, this.#options.lexicon)) this.#expire('acknowledgement', now);
    else this.handle('hold_answered', now);
  }

  /** A sound over the last words of a question answers it, be it a "yes". */
  #isAnswer(spanMs: number): boolean {
    return spanMs >= this.#options.answerMs && this.#agent.asked().asked !== 'nothing' && this.#agent.playedShare() >= HEARD_SHARE;
  }

  /** Nothing speaks for an interruption: the agent goes on, if there is enough left to say. */
  #expire(why: Rejection, now: number): void {
    const yields = this.#options.onAmbiguous === 'yield' && why !== 'acknowledgement';
    if (yields || this.#agent.remainingMs() < this.#options.worthResumingMs) this.handle('hold_answered', now);
    else this.#reject(why, now);
  }

  #reject(why: Rejection, now: number): void {
    // "Uh-huh" twice is still "uh-huh".
    if (why !== 'acknowledgement') this.#rejectedAt = now;
    // Before the line is known our own echo does hold us, and a cough after it is the first one. Later it hardly ever does: then it was a soft "stop".
    if (why !== 'acknowledgement' && !(why === 'echo' && this.#speeches === 1)) this.#burstRejectedAt = now;
    this.#rejection = why;
    this.handle('hold_rejected', now);
  }

  #forgetRejection(): void {
    this.#rejectedAt = NEVER;
    this.#burstRejectedAt = NEVER;
  }

  #noteVoice(frame: HeardFrame, now: number): void {
    this.#lastVoicedMs = frame.heardMs;
    this.#lastVoicedAt = now;
    if (!frame.spilled) this.#lastSoundAt = now;
    this.#gate.addVoice(frame.levelDb);
  }

  #act(action: TurnAction, event: TurnEvent, now: number): void {
    switch (action) {
      case 'begin_turn':
        this.#beginTurn(event);
        break;
      case 'resume_turn':
        this.#continued = true;
        this.#outputs.push({ type: 'speech_started', startMs: this.#turnStartMs });
        break;
      case 'learn_pause':
        this.#learnPause();
        break;
      case 'prepare':
        this.#preparations += 1;
        this.#outputs.push({ type: 'prepare', startMs: this.#turnStartMs, endMs: this.#endOfVoiceMs });
        break;
      case 'drop_preparation':
        this.#outputs.push({ type: 'drop_preparation' });
        break;
      case 'commit':
        this.#commit(event === 'ended_upstream', now);
        break;
      case 'discard_turn':
        this.#turnEndMs = this.#heardMs;
        this.#outputs.push({ type: 'turn_discarded', startMs: this.#turnStartMs, endMs: this.#turnEndMs });
        break;
      case 'take_turn':
        this.#turnEndMs = this.#heardMs;
        break;
      case 'cancel':
        this.#outputs.push({ type: 'cancel' });
        break;
      case 'open_speech':
        this.#speeches += 1;
        this.#speechStartedAt = now;
        this.#gate.forgetEcho();
        break;
      case 'close_speech':
        this.#speechEndedAt = now;
        this.#committedAt = NEVER; // what is said from here on is a new turn
        break;
      case 'hold':
        this.#hold(now);
        break;
      case 'resume':
        this.#outputs.push({ type: 'resume', fromStart: false, why: event === 'hold_rejected' ? this.#rejection : undefined });
        break;
      case 'restart':
        this.#outputs.push({ type: 'resume', fromStart: true, why: this.#rejection });
        break;
      case 'interrupt':
        this.#outputs.push({ type: 'interrupt', by: event === 'key' ? 'key' : 'voice' });
        break;
      case 'ask':
        this.#wait.setProbability(undefined);
        if (this.#options.predicts)
          this.#outputs.push({ type: 'paused', startMs: this.#turnStartMs, endMs: this.#lastVoicedMs, words: this.#wait.words });
        break;
    }
  }

  #beginTurn(event: TurnEvent): void {
    // An interruption began with the hold, and its voice and words are known since then.
    const heardNow = event === 'onset' || event === 'onset_at_once';
    const startMs = heardNow && !this.isLeftToModel ? this.#gate.burstStartMs : this.#burstStartMs;
    if (heardNow) {
      this.#gate.endTurn(false);
      this.#wait.setWords('');
    }
    this.#spokenFromMs = startMs;
    this.#preparations = 0;
    const prefixMs = this.isLeftToModel ? 0 : this.#options.prefixMs;
    this.#turnStartMs = Math.max(this.#turnEndMs, startMs - prefixMs, 0);
    this.#continued = false;
    this.#knownUpstream = false;
    this.#outputs.push({ type: 'speech_started', startMs: this.#turnStartMs });
  }

  /** The caller went on after a pause, and the agent was silent in it. */
  #learnPause(): void {
    const pauseMs = this.#gate.burstStartMs - this.#lastVoicedMs;
    // In noise, short pauses are holes in what the detector hears.
    if (pauseMs >= this.#options.gapMs && (pauseMs >= 200 || !this.#gate.isNoisy)) this.#wait.learn(pauseMs);
  }

  get #endOfVoiceMs(): number {
    return Math.min(this.#heardMs, this.#lastVoicedMs + this.#options.suffixMs);
  }

  #commit(upstream: boolean, now: number): void {
    this.#turnEndMs = this.#endOfVoiceMs;
    this.#committedAt = now;
    this.#gate.endTurn(true);
    this.#outputs.push({
      type: 'turn_committed',
      startMs: this.#turnStartMs,
      endMs: this.#turnEndMs,
      speechEndedAt: this.#lastSoundAt,
      continued: this.#continued,
      ...(upstream && { upstream }),
    });
  }

  #hold(now: number): void {
    this.#heldAt = now;
    this.#wait.setWords('');
    this.#wordsSought = false;
    this.#gate.endTurn(false);
    this.#burstStartMs = this.#gate.burstStartMs;
    this.#burstVoicedMs = this.#gate.evidenceMs;
    this.#burstSoundMs = this.#heardMs;
    this.#collision = this.#gate.burstStartAt - this.#speechStartedAt <= this.#options.collisionMs;
    this.#outputs.push({ type: 'hold', onsetAt: this.#gate.burstStartAt });
  }
}
