import type { Clock } from '../../base/clock.ts';
import type { SipSource } from '../engine.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { SourceBans } from './source-bans.ts';
import { parseUri } from './uri.ts';

/** How scanners call themselves that do not hide. A weak hint: anybody can say so, and who means harm says otherwise. */
const SCANNERS = /friendly-scanner|sipvicious|sip-?scan|sipcli|sundayddr|vaxsipuseragent|pplsip|sivus|iwar/i;

/** What an attempt on a name gets that is not its own. Busy, full or unwilling is another matter. */
const NOT_YOURS: readonly number[] = [401, 403, 404, 405, 407];

/** Looks at what is answered to whom, and tells the bans what scanners do. */
export class ScanWatch {
  readonly #clock: Clock;
  readonly #bans: SourceBans;

  constructor(clock: Clock, bans: SourceBans) {
    this.#clock = clock;
    this.#bans = bans;
  }

  malformed({ address }: SipSource): void {
    this.#bans.saw(address, this.#clock.now(), 'malformed');
  }

  /** A call has come about: whoever sends INVITEs by the thousand never sees our answers, or does not care. */
  acknowledged({ address }: SipSource): void {
    this.#bans.sawWelcome(address);
  }

  /**
   * A final answer to a request outside of dialogs.
   * @param password what was made of one that was shown: `wrong`, or not looked at after too many
   */
  answered({ source, method, message, from, to, toTag }: IncomingRequest, status: number, password?: 'wrong' | 'braked'): void {
    if (toTag !== undefined || method === 'CANCEL') return;
    const { address } = source;
    this.#bans.sawSound(address);
    if (status < 300 && method === 'REGISTER') this.#bans.sawWelcome(address);
    if (status < 300 && method !== 'OPTIONS') return;
    const now = this.#clock.now();
    if (password) this.#bans.saw(address, now, 'password');
    else if (method === 'OPTIONS' || NOT_YOURS.includes(status)) {
      this.#bans.saw(address, now, 'name', userOf(method === 'REGISTER' ? to.uri : message.uri));
    }
    if (SCANNERS.test(message.headers.first('user-agent') ?? '') || SCANNERS.test(from.displayName))
      this.#bans.saw(address, now, 'scanner');
  }
}

function userOf(uri: string): string {
  const parsed = parseUri(uri);
  return parsed?.type === 'sip' ? (parsed.user ?? '') : uri;
}
