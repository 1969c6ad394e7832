import type { Machine } from '../base/driver.ts';
import { TimerSet } from './embedded/timers.ts';

export type RegistrationOutput =
  /** Send a REGISTER. @property expiresS what to ask for; 0 takes the binding away */
  | { readonly type: 'send'; readonly registrar: number; readonly expiresS: number }
  /** The request under way is answered too late: forget it. */
  | { readonly type: 'forget' }
  | { readonly type: 'registered'; readonly expiresS: number }
  /** Calls do not come any more, or never came. */
  | { readonly type: 'lost'; readonly why: RegistrationFailure; readonly status: number; readonly retryInS: number }
  /** Keep the NAT's way open. */
  | { readonly type: 'keep_alive' }
  /** Nothing stands at the registrar any more, or it does not say so in time. */
  | { readonly type: 'left' };

export type RegistrationFailure = 'unreachable' | 'refused' | 'unavailable' | 'expired';

/** What came of a REGISTER. */
export interface RegisterResponse {
  readonly status: number;
  /** Of our binding, as the registrar has it; undefined when it does not say. */
  readonly expiresS?: number | undefined;
  /** Of a 423. */
  readonly minExpiresS?: number | undefined;
  readonly retryAfterS?: number | undefined;
  /** What it saw of us differs from what we said: register anew, with that. */
  readonly learned?: boolean;
}

export interface RegistrationOptions {
  /** How many there are to turn to. */
  readonly registrars: number;
  readonly expiresS: number;
  /** Seconds; 0 for none. */
  readonly keepAliveS: number;
  /** 0 to 1: so that a thousand gateways do not come back at the same moment. */
  readonly random: () => number;
}

/** RFC 5626 §4.5: the first wait after all have failed, doubled each time, up to half an hour. */
const BASE_WAIT_S = 30;
const MAX_WAIT_S = 1800;
/** A wrong password does not become right by asking: registrars ban who asks again at once. */
const REFUSED_WAIT_S = 300;
const MAX_REFUSED_WAIT_S = 3600;
/** How long the farewell may take: a process that leaves has 600 ms to stop all its parts, and the call records come after this. */
const FAREWELL_MS = 400;
/** A refresh is lost when it is not answered by then (64·T1), and the next one has to fit in before the binding ends. */
const REFRESH_ROOM_S = 60;
/** Raised by one 423 after another; an honest registrar needs one. */
const MAX_RAISES = 3;
/** A NAT that gives another address each time is not followed around. */
const MAX_LEARNED = 2;
/** What is asked for after a 423 is bounded by a day. */
const MAX_EXPIRES_S = 86_400;

type TimerName = 'refresh' | 'expiry' | 'keep_alive' | 'farewell';

/** Keeps one address registered somewhere else (RFC 3261 §10.2): refreshes in time, gives way, comes back, and says goodbye. */
export class Registration implements Machine<RegistrationOutput> {
  readonly #options: RegistrationOptions;
  readonly #timers = new TimerSet<TimerName>();
  readonly #outputs: RegistrationOutput[] = [];
  #state: 'idle' | 'asking' | 'waiting' | 'leaving' | 'over' = 'idle';
  #registrar = 0;
  /** Since the last success: of registrars, and of whole rounds. */
  #failures = 0;
  #refusals = 0;
  #raises = 0;
  #learned = 0;
  #expiresS: number;
  #validUntil: number | undefined;
  /** Whether it was told that calls do not come. */
  #told = false;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#expiresS = options.expiresS;
  }

  /** Do calls come? */
  get registered(): boolean {
    return this.#validUntil !== undefined;
  }

  /** Which registrar it turns to. */
  get registrar(): number {
    return this.#registrar;
  }

  start(now: number): void {
    if (this.#state === 'idle') this.#ask(now);
  }

  /** The request is to be sent once more, with what was learned from a challenge. */
  challenged(): void {
    if (this.#state === 'asking') this.#send(this.#expiresS);
    else if (this.#state === 'leaving') this.#send(0);
  }

  answered(now: number, response: RegisterResponse): void {
    const { status, minExpiresS } = response;
    if (status < 200) return;
    if (this.#state === 'leaving') {
      this.#end();
      return;
    }
    if (this.#state !== 'asking') return;
    if (status < 300) this.#succeeded(now, response);
    else if (status === 423 && minExpiresS !== undefined && minExpiresS > this.#expiresS && this.#raises < MAX_RAISES) {
      this.#raises += 1;
      this.#expiresS = Math.min(minExpiresS, MAX_EXPIRES_S);
      this.#send(this.#expiresS);
    } else if (isUnavailable(status)) this.#failed(now, status === 408 ? 'unreachable' : 'unavailable', response);
    else this.#refused(now, response);
  }

  /** No answer, or no way there. */
  timedOut(now: number): void {
    if (this.#state === 'leaving') this.#end();
    else if (this.#state === 'asking') this.#failed(now, 'unreachable', { status: 408 });
  }

  /** Takes the binding away; `left` follows within 400 ms. */
  leave(now: number): void {
    if (this.#state === 'leaving' || this.#state === 'over') return;
    this.#timers.clear();
    if (this.#state === 'asking') this.#outputs.push({ type: 'forget' });
    // What is being asked for may stand there already, for all we know.
    if (!this.registered && this.#state !== 'asking') {
      this.#end();
      return;
    }
    this.#state = 'leaving';
    this.#timers.start('farewell', now + FAREWELL_MS);
    this.#send(0);
  }

  pollOutput(): RegistrationOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) {
      if (timer === 'refresh') this.#ask(now);
      else if (timer === 'farewell') {
        this.#outputs.push({ type: 'forget' });
        this.#end();
      } else if (timer === 'keep_alive') {
        this.#outputs.push({ type: 'keep_alive' });
        this.#timers.start('keep_alive', now + this.#options.keepAliveS * 1000);
      } else this.#expired();
    }
  }

  #ask(_now: number): void {
    this.#state = 'asking';
    this.#send(this.#expiresS);
  }

  #send(expiresS: number): void {
    this.#outputs.push({ type: 'send', registrar: this.#registrar, expiresS });
  }

  #succeeded(now: number, { expiresS = this.#expiresS, learned }: RegisterResponse): void {
    this.#failures = 0;
    this.#refusals = 0;
    this.#raises = 0;
    if (learned && this.#learned < MAX_LEARNED) {
      this.#learned += 1;
      this.#send(this.#expiresS);
      return;
    }
    this.#learned = 0;
    this.#state = 'waiting';
    const given = Math.min(Math.max(1, expiresS), MAX_EXPIRES_S);
    this.#validUntil = now + given * 1000;
    this.#told = false;
    // Nine tenths of a long one; of a short one as early as leaves room for another try.
    const safeS = Math.max(given / 2, Math.min(given * 0.9, given - REFRESH_ROOM_S));
    this.#timers.start('refresh', now + safeS * 1000 * (0.95 + 0.05 * this.#options.random()));
    this.#timers.start('expiry', this.#validUntil);
    if (this.#options.keepAliveS > 0) this.#timers.start('keep_alive', now + this.#options.keepAliveS * 1000);
    this.#outputs.push({ type: 'registered', expiresS: given });
  }

  /** The next one at once; after all of them, the wait of RFC 5626 §4.5. */
  #failed(now: number, why: RegistrationFailure, { status, retryAfterS }: RegisterResponse): void {
    this.#failures += 1;
    const { registrars } = this.#options;
    this.#registrar = (this.#registrar + 1) % registrars;
    if (this.#failures % registrars !== 0 && retryAfterS === undefined) {
      this.#ask(now);
      return;
    }
    const rounds = Math.ceil(this.#failures / registrars) - 1;
    const longest = Math.min(MAX_WAIT_S, BASE_WAIT_S * 2 ** Math.min(rounds, 10));
    this.#wait(now, why, status, Math.min(MAX_WAIT_S, retryAfterS ?? longest * (0.5 + 0.5 * this.#options.random())));
  }

  #refused(now: number, { status }: RegisterResponse): void {
    this.#refusals += 1;
    this.#validUntil = undefined;
    const longest = Math.min(MAX_REFUSED_WAIT_S, REFUSED_WAIT_S * 2 ** Math.min(this.#refusals - 1, 10));
    this.#wait(now, 'refused', status, longest * (0.5 + 0.5 * this.#options.random()));
  }

  #wait(now: number, why: RegistrationFailure, status: number, waitS: number): void {
    this.#state = 'waiting';
    this.#timers.start('refresh', now + waitS * 1000);
    // As long as the last binding stands calls come all the same.
    if (this.registered) return;
    this.#timers.stop('expiry');
    this.#timers.stop('keep_alive');
    this.#told = true;
    this.#outputs.push({ type: 'lost', why, status, retryInS: Math.round(waitS) });
  }

  #expired(): void {
    this.#validUntil = undefined;
    this.#timers.stop('keep_alive');
    if (!this.#told) this.#outputs.push({ type: 'lost', why: 'expired', status: 0, retryInS: 0 });
    this.#told = true;
  }

  #end(): void {
    this.#timers.clear();
    this.#validUntil = undefined;
    this.#state = 'over';
    this.#outputs.push({ type: 'left' });
  }
}

/** Another registrar, or this one later, may do better: RFC 3261 §21.5, and a proxy that finds nobody. */
function isUnavailable(status: number): boolean {
  return status >= 500 || status === 408 || status === 480;
}
