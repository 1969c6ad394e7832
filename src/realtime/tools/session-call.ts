import type { Clock } from '../../base/clock.ts';
import type { Leg } from '../../leg/leg.ts';
import type { CommandFault } from '../session-event.ts';
import type { CallControl, TransferOutcome } from './call-control.ts';
import type { Entry, EntryRules } from './digit-collector.ts';
import type { RunningEntry } from './key-entry.ts';

/** What is said before something is done takes no longer; a model that never stops does not keep the caller. */
const LONGEST_SPEECH_MS = 30_000;

export interface SessionCallDeps {
  readonly clock: Clock;
  readonly leg: () => Leg | undefined;
  readonly isLive: () => boolean;
  /** Is everything said that was to be said? */
  readonly isQuiet: (now: number) => boolean;
  readonly playMusic: (forMs: number) => void;
  readonly hangUp: () => void;
  readonly sendDtmf: (digits: string) => CommandFault | undefined;
  readonly collectKeys: (rules: EntryRules, secure: boolean, onEntry: (entry: Entry) => void) => RunningEntry | CommandFault;
}

/** The call of one session in the hands of its tools: what waits until all is said, the transfer that runs, and who takes secrets. */
export class SessionCall implements CallControl {
  readonly isCall: boolean;
  readonly #deps: SessionCallDeps;
  readonly #afterSpeech: { readonly act: () => void; readonly by: number; readonly onDropped: (() => void) | undefined }[] = [];
  #onTransferred: ((outcome: TransferOutcome) => void) | undefined;
  #receiver: ((entry: Entry) => void) | undefined;
  #onReceiverGone: (() => void) | undefined;

  constructor(deps: SessionCallDeps, options: { readonly isCall: boolean }) {
    this.#deps = deps;
    this.isCall = options.isCall;
  }

  get hasKeys(): boolean {
    return this.#deps.leg()?.sendDtmf !== undefined;
  }

  get canTransfer(): boolean {
    return this.#deps.leg()?.refer !== undefined;
  }

  afterSpeech(act: () => void, onDropped?: () => void): void {
    this.#afterSpeech.push({ act, by: this.#deps.clock.now() + LONGEST_SPEECH_MS, onDropped });
  }

  transfer(uri: string, onOutcome: (outcome: TransferOutcome) => void): CommandFault | undefined {
    const leg = this.#deps.leg();
    if (!this.#deps.isLive()) return { code: 'invalid_state', message: 'The call is not answered, or over.' };
    if (!leg?.refer) return { code: 'unsupported', message: 'Only a phone can be sent on.' };
    if (this.#onTransferred) return { code: 'invalid_state', message: 'A transfer is under way.' };
    this.#onTransferred = onOutcome;
    leg.refer(uri);
    return undefined;
  }

  hangUp(): void {
    this.#deps.hangUp();
  }

  sendDtmf(digits: string): CommandFault | undefined {
    return this.#deps.sendDtmf(digits);
  }

  playMusic(forMs: number): void {
    this.#deps.playMusic(forMs);
  }

  collect(rules: EntryRules, onEntry: (entry: Entry) => void): RunningEntry | CommandFault {
    return this.#deps.collectKeys(rules, false, onEntry);
  }

  collectSecurely(rules: EntryRules, onEntry: (entry: Entry) => void, otherwise?: (entry: Entry) => void): RunningEntry | CommandFault {
    const isForProgram = this.#receiver !== undefined;
    if (!isForProgram && !otherwise) return { code: 'no_receiver', message: 'No program takes what would be entered.' };
    const running = this.#deps.collectKeys(rules, true, (entry) => {
      if (isForProgram) {
        this.#onReceiverGone = undefined;
        this.#receiver?.(entry);
      } else if (entry.endedBy !== 'gone') otherwise?.(entry);
      onEntry({ ...entry, digits: '*'.repeat(entry.digits.length) });
    });
    if (isForProgram && !('code' in running)) this.#onReceiverGone = () => running.stop('gone');
    return running;
  }

  /** Who takes what is entered secretly when a tool asks for it; undefined: nobody, and then no tool can ask. */
  set receiver(receiver: ((entry: Entry) => void) | undefined) {
    this.#receiver = receiver;
    if (!receiver) this.#onReceiverGone?.();
  }

  /** The leg says what has become of a transfer, of whomever. */
  handleTransferred(outcome: TransferOutcome): void {
    const told = this.#onTransferred;
    this.#onTransferred = undefined;
    told?.(outcome);
  }

  /** A frame has left: what waited for the end of speech is done when that is there, or it is time. */
  handlePull(now: number): void {
    if (this.#afterSpeech.length === 0) return;
    const quiet = this.#deps.isQuiet(now);
    for (let next = this.#afterSpeech[0]; next && (quiet || now >= next.by); next = this.#afterSpeech[0]) {
      this.#afterSpeech.shift();
      next.act();
    }
  }

  /** The agent takes no part any more: what it wanted to do when it had spoken is not done to those who talk now, nor when it is back. */
  pause(): void {
    for (const { onDropped } of this.#afterSpeech.splice(0)) onDropped?.();
  }

  /** The session is over. */
  close(): void {
    this.#afterSpeech.length = 0;
  }
}
