import type { Machine } from '../../base/driver.ts';
import type { ReferProgress } from '../engine.ts';
import type { Fragment } from './sipfrag.ts';
import { TimerSet } from './timers.ts';
import type { TransitionTable } from './transition.ts';

export type ReferState = 'sent' | 'accepted' | 'done';
export type ReferEvent =
  /** 2xx to the REFER. */
  | 'accepted'
  /** 2xx that says there will be no NOTIFY (RFC 4488). */
  | 'accepted_blindly'
  | 'refused'
  | 'progress'
  | 'success'
  | 'failure'
  /** The subscription ended without a final status. */
  | 'terminated'
  | 'timer_limit'
  /** The call itself is over. */
  | 'call_ended';
type Action = 'start_limit' | 'stop_timers' | 'tell_accepted' | 'tell' | 'tell_unknown' | 'tell_timeout' | 'tell_ended';

/** A REFER of ours (RFC 3515 §2.4). A NOTIFY may overtake the 202. */
export const REFER: TransitionTable<ReferState, ReferEvent, Action> = {
  sent: {
    accepted: { to: 'accepted', actions: ['start_limit', 'tell_accepted'] },
    accepted_blindly: { to: 'done', actions: ['tell_accepted', 'tell_unknown'] },
    refused: { to: 'done', actions: ['tell'] },
    progress: { to: 'accepted', actions: ['start_limit', 'tell_accepted', 'tell'] },
    success: { to: 'done', actions: ['tell_accepted', 'tell'] },
    failure: { to: 'done', actions: ['tell_accepted', 'tell'] },
    call_ended: { to: 'done', actions: ['tell_ended'] },
  },
  accepted: {
    progress: { to: 'accepted', actions: ['tell'] },
    success: { to: 'done', actions: ['stop_timers', 'tell'] },
    failure: { to: 'done', actions: ['stop_timers', 'tell'] },
    terminated: { to: 'done', actions: ['stop_timers', 'tell_timeout'] },
    timer_limit: { to: 'done', actions: ['tell_timeout'] },
    call_ended: { to: 'done', actions: ['stop_timers', 'tell_ended'] },
  },
  done: {},
};

/** The other phone rings for a minute or two, then somebody's mailbox answers. */
const LIMIT_MS = 180_000;

/** More news than this about one transfer is noise. */
const MAX_NEWS = 32;

/** What has become of one transfer that we asked for. */
export class ReferMachine implements Machine<ReferProgress> {
  readonly #timers = new TimerSet<'timer_limit'>();
  readonly #outputs: ReferProgress[] = [];
  #state: ReferState = 'sent';
  #news = 0;

  get done(): boolean {
    return this.#state === 'done';
  }

  /** The final response to the REFER. */
  handleFinal(now: number, { status, reason }: Fragment, subscribed: boolean): void {
    if (status >= 300) this.#handle('refused', now, { type: 'failed', status, reason });
    else this.#handle(subscribed ? 'accepted' : 'accepted_blindly', now);
  }

  /** A NOTIFY. */
  handleNotify(now: number, fragment: Fragment | undefined, terminated: boolean): void {
    if (fragment && fragment.status >= 200) {
      const succeeded = fragment.status < 300;
      this.#handle(succeeded ? 'success' : 'failure', now, { type: succeeded ? 'succeeded' : 'failed', ...fragment });
      return;
    }
    if (fragment && this.#news < MAX_NEWS) {
      this.#news += 1;
      this.#handle('progress', now, { type: 'progress', ...fragment });
    }
    if (terminated) this.#handle('terminated', now);
  }

  handleCallEnded(now: number): void {
    this.#handle('call_ended', now);
  }

  pollOutput(): ReferProgress | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) this.#handle(timer, now);
  }

  #handle(event: ReferEvent, now: number, news?: ReferProgress): void {
    const transition = REFER[this.#state][event];
    if (!transition) return;
    this.#state = transition.to;
    for (const action of transition.actions) this.#act(action, now, news);
  }

  #act(action: Action, now: number, news: ReferProgress | undefined): void {
    switch (action) {
      case 'start_limit':
        this.#timers.start('timer_limit', now + LIMIT_MS);
        return;
      case 'stop_timers':
        this.#timers.clear();
        return;
      case 'tell_accepted':
        this.#outputs.push({ type: 'accepted' });
        return;
      case 'tell':
        if (news) this.#outputs.push(news);
        return;
      case 'tell_unknown':
        this.#outputs.push({ type: 'succeeded', status: 202, reason: 'nothing more will be heard of it' });
        return;
      case 'tell_timeout':
        this.#outputs.push({ type: 'failed', status: 408, reason: 'nothing was heard of it' });
        return;
      case 'tell_ended':
        this.#outputs.push({ type: 'failed', status: 487, reason: 'the call ended' });
    }
  }
}
