import { describe, expect, it } from 'vitest';
import { Driver } from '../../../src/base/driver.ts';
import { Registration, type RegistrationOptions, type RegistrationOutput } from '../../../src/sip/registration.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Line = [number, string];

class Account {
  readonly clock = new FakeClock();
  readonly lines: Line[] = [];
  readonly machine: Registration;
  readonly driver: Driver<RegistrationOutput>;

  constructor(options: Partial<RegistrationOptions> = {}) {
    this.machine = new Registration({ registrars: 1, expiresS: 3600, keepAliveS: 0, random: () => 1, ...options });
    this.driver = new Driver(this.clock, this.machine, (output) => this.lines.push([this.clock.now() / 1000, textOf(output)]));
    this.driver.run((now) => this.machine.start(now));
  }

  answer(status: number, more: Partial<Parameters<Registration['answered']>[1]> = {}): this {
    this.driver.run((now) => this.machine.answered(now, { status, ...more }));
    return this;
  }

  timeOut(): this {
    this.driver.run((now) => this.machine.timedOut(now));
    return this;
  }

  wait(seconds: number): this {
    this.clock.advance(seconds * 1000);
    return this;
  }
}

function textOf(output: RegistrationOutput): string {
  switch (output.type) {
    case 'send':
      return `send ${output.expiresS} to ${output.registrar}`;
    case 'registered':
      return `registered for ${output.expiresS}`;
    case 'lost':
      return `lost: ${output.why} ${output.status}, again in ${output.retryInS}`;
    default:
      return output.type;
  }
}

describe('a registration', () => {
  it('is refreshed at nine tenths of a long life and at half of a short one', () => {
    const account = new Account().answer(200, { expiresS: 3600 }).wait(3241);
    expect(account.lines).toEqual([
      [0, 'send 3600 to 0'],
      [0, 'registered for 3600'],
      [3240, 'send 3600 to 0'],
    ]);
    const short = new Account().answer(200, { expiresS: 60 }).wait(31);
    expect(short.lines.at(-1)).toEqual([30, 'send 3600 to 0']);
  });

  it('asks for as long as a 423 wants, and not for ever more', () => {
    const account = new Account({ expiresS: 60 }).answer(423, { minExpiresS: 300 });
    expect(account.lines.at(-1)).toEqual([0, 'send 300 to 0']);
    account.answer(423, { minExpiresS: 600 }).answer(423, { minExpiresS: 900 }).answer(423, { minExpiresS: 1200 });
    expect(account.lines.at(-1)).toEqual([0, 'lost: refused 423, again in 300']);
  });

  it('turns to the next registrar at once, and after all of them waits longer each round', () => {
    const account = new Account({ registrars: 2 }).timeOut().timeOut();
    account.wait(30).answer(503).answer(503).wait(60).timeOut().timeOut();
    expect(account.lines).toEqual([
      [0, 'send 3600 to 0'],
      [0, 'send 3600 to 1'],
      [0, 'lost: unreachable 408, again in 30'],
      [30, 'send 3600 to 0'],
      [30, 'send 3600 to 1'],
      [30, 'lost: unavailable 503, again in 60'],
      [90, 'send 3600 to 0'],
      [90, 'send 3600 to 1'],
      [90, 'lost: unreachable 408, again in 120'],
    ]);
  });

  it('waits as long as Retry-After says', () => {
    expect(new Account().answer(503, { retryAfterS: 77 }).wait(77).lines.slice(1)).toEqual([
      [0, 'lost: unavailable 503, again in 77'],
      [77, 'send 3600 to 0'],
    ]);
  });

  it('gives a wrong password five minutes, then ten, and an hour at the most', () => {
    const account = new Account();
    for (let at = 0; at < 6; at += 1) account.answer(403).wait(3600);
    const lost = account.lines.filter(([, text]) => text.startsWith('lost')).map(([, text]) => text);
    expect(lost).toEqual([300, 600, 1200, 2400, 3600, 3600].map((s) => `lost: refused 403, again in ${s}`));
  });

  it('counts as registered until the old binding ends, while a refresh fails', () => {
    const account = new Account().answer(200, { expiresS: 600 }).wait(540).timeOut();
    expect(account.machine.registered).toBe(true);
    account.wait(29).wait(1).timeOut().wait(30);
    expect(account.lines.slice(2)).toEqual([
      [540, 'send 3600 to 0'],
      [570, 'send 3600 to 0'],
      [600, 'lost: expired 0, again in 0'],
    ]);
    expect(account.machine.registered).toBe(false);
  });

  it('registers anew with what was learned, and does not follow a NAT that is another one each time', () => {
    const account = new Account();
    for (let at = 0; at < 5; at += 1) account.answer(200, { expiresS: 3600, learned: true });
    expect(account.lines.map(([, text]) => text)).toEqual(['send 3600 to 0', 'send 3600 to 0', 'send 3600 to 0', 'registered for 3600']);
  });

  it('keeps the way open, and says goodbye within 400 ms', () => {
    const account = new Account({ keepAliveS: 25 }).answer(200).wait(60);
    account.driver.run((now) => account.machine.leave(now));
    account.wait(5);
    expect(account.lines.slice(2)).toEqual([
      [25, 'keep_alive'],
      [50, 'keep_alive'],
      [60, 'send 0 to 0'],
      [60.4, 'forget'],
      [60.4, 'left'],
    ]);
  });

  it('has nothing to say goodbye to where it is not registered', () => {
    const account = new Account().answer(403);
    account.driver.run((now) => account.machine.leave(now));
    expect(account.lines.at(-1)?.[1]).toBe('left');
  });
});
