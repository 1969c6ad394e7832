import { describe, expect, it } from 'vitest';
import { NonInviteServerTransaction } from '../../../src/sip/embedded/non-invite-server-transaction.ts';
import { record } from './recorder.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const open = (reliable = false) => record(new NonInviteServerTransaction({ reliable }));

describe('the non-INVITE server transaction (RFC 3261 §17.2.2)', () => {
  it('gives every repeat the same answer until Timer J, 32 s after it', () => {
    const { clock, log, machine, run } = open();
    run((now) => machine.handleRequest(now)); // nothing to repeat yet
    clock.advance(100);
    run((now) => machine.respond(now, 200, bytes('200')));
    clock.advance(400);
    run((now) => machine.handleRequest(now));
    clock.advance(31_000);
    run((now) => machine.handleRequest(now));
    clock.advance(5000);
    run((now) => machine.handleRequest(now));
    expect(log).toEqual([
      [100, 'send 200'],
      [500, 'send 200'],
      [31_500, 'send 200'],
      [32_100, 'terminated'],
    ]);
  });

  it('repeats the provisional response while there is no final one', () => {
    const { log, machine, run } = open();
    run((now) => machine.respond(now, 100, bytes('100')));
    run((now) => machine.handleRequest(now));
    run((now) => machine.respond(now, 182, bytes('182')));
    run((now) => machine.respond(now, 200, bytes('200')));
    run((now) => machine.respond(now, 500, bytes('500')));
    expect(log).toEqual([
      [0, 'send 100'],
      [0, 'send 100'],
      [0, 'send 182'],
      [0, 'send 200'],
    ]);
  });

  it('ends at once over a reliable transport', () => {
    const { clock, log, machine, run } = open(true);
    run((now) => machine.respond(now, 200, bytes('200')));
    clock.advance(0);
    expect(log).toEqual([
      [0, 'send 200'],
      [0, 'terminated'],
    ]);
  });
});
