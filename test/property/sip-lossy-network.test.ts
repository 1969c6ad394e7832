import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Driver } from '../../src/base/driver.ts';
import { type ClientTransactionOutput, InviteClientTransaction } from '../../src/sip/embedded/invite-client-transaction.ts';
import { parseMessage } from '../../src/sip/embedded/message.ts';
import { NonInviteClientTransaction } from '../../src/sip/embedded/non-invite-client-transaction.ts';
import { ANSWER, EngineUnderTest, header, request, responseTo, toTagOf } from '../unit/sip/engine-under-test.ts';

type Ending = 'caller' | 'callee' | 'busy' | 'cancel';

/** A caller on a network that loses what `lose` says, each way. It follows the client transactions of the RFC and no more. */
class LossyCaller {
  readonly test: EngineUnderTest;
  readonly events: string[] = [];
  readonly #lose: () => boolean;
  readonly #parts: { callId: string; branch: string; fromTag: string };
  readonly #ending: Ending;
  #ack: string | undefined;
  #handled = 0;
  readonly #clients = new Map<string, (text: string) => void>();

  constructor(test: EngineUnderTest, index: number, ending: Ending, lose: () => boolean) {
    this.test = test;
    this.#lose = lose;
    this.#ending = ending;
    this.#parts = { callId: `lossy-${index}`, branch: `z9hG4bKlossy${index}`, fromTag: `f${index}` };
  }

  start(): void {
    const invite = request(this.#parts);
    const acknowledge = (): Buffer => Buffer.from(request({ ...this.#parts, method: 'ACK' }));
    const machine = new InviteClientTransaction({ reliable: false, message: Buffer.from(invite), acknowledge });
    this.#drive('1 INVITE', machine, (status, text) => this.#onInviteResponse(status, text));
  }

  /** What the engine sent to this call. */
  handle(text: string): void {
    if (this.#lose()) return;
    if (text.startsWith('BYE')) {
      if (!this.events.includes('bye')) this.events.push('bye');
      this.#send(responseTo(text, 200));
    } else this.#clients.get(header(text, 'CSeq') ?? '')?.(text);
  }

  #onInviteResponse(status: number, text: string): void {
    if (status < 200) {
      if (this.#ending === 'cancel' && this.#handled++ === 0) this.#request({ ...this.#parts, method: 'CANCEL' }, 'cancelled');
      return;
    }
    if (status >= 300) return void this.events.push(String(status));
    if (this.#ack === undefined) {
      const toTag = toTagOf(text);
      this.#ack = request({ ...this.#parts, branch: `${this.#parts.branch}ack`, method: 'ACK', toTag });
      this.events.push('200');
      if (this.#ending === 'caller') {
        const bye = { ...this.#parts, branch: `${this.#parts.branch}bye`, method: 'BYE', cseq: 2, toTag };
        this.test.clock.setTimer(300, () => this.#request(bye, 'hung up'));
      }
    }
    this.#send(this.#ack);
  }

  #request(parts: Parameters<typeof request>[0] & { method: string }, done: string): void {
    const machine = new NonInviteClientTransaction({ reliable: false, message: Buffer.from(request(parts)) });
    this.#drive(`${parts.cseq ?? 1} ${parts.method}`, machine, (status) => {
      if (status >= 200) this.events.push(`${done} ${status}`);
    });
  }

  #drive(
    cseq: string,
    machine: InviteClientTransaction | NonInviteClientTransaction,
    onResponse: (status: number, text: string) => void,
  ): void {
    let current = '';
    const driver = new Driver<ClientTransactionOutput>(this.test.clock, machine, (output) => {
      if (output.type === 'send') this.#send(Buffer.from(output.message).toString());
      if (output.type === 'response') onResponse(output.response.status, current);
      if (output.type === 'timed_out') this.events.push(`${cseq} timed out`);
    });
    this.#clients.set(cseq, (text) => {
      current = text;
      const response = parseMessage(Buffer.from(text));
      if (response?.type === 'response') driver.run((now) => machine.handleResponse(now, response));
    });
    driver.run((now) => machine.start(now));
  }

  #send(text: string): void {
    if (!this.#lose()) this.test.clock.setTimer(20, () => this.test.receive(text));
  }
}

/** 20 calls of each kind over a network with this loss each way; what became of them at both ends. */
async function callsOver(lossPercent: number, seed: number): Promise<{ callers: string[][]; ends: string[]; left: number }> {
  const test = await EngineUnderTest.start();
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0; // LCG of Numerical Recipes: only to be repeatable
    return state / 2 ** 32;
  };
  const lose = (): boolean => random() * 100 < lossPercent;
  const ends: string[] = [];
  const endings: Ending[] = Array.from({ length: 80 }, (_, i) => (['caller', 'callee', 'busy', 'cancel'] as const)[i % 4]!);
  const callers = endings.map((ending, i) => new LossyCaller(test, i, ending, lose));
  test.engine.onInvite = (invite) => {
    const ending = endings[Number(invite.sipCallId.slice(6))];
    invite.onCancel = () => void ends.push('cancel');
    invite.ring();
    test.clock.setTimer(ending === 'cancel' ? 120_000 : 100, () => {
      if (ending === 'busy') {
        invite.reject({ status: 486 });
        ends.push('busy');
      } else if (ending !== 'cancel') {
        const call = invite.answer(ANSWER);
        call.onEnd = (end) => void ends.push(end);
        if (ending === 'callee') call.hangup();
      }
    });
  };
  callers.forEach((caller, i) => void test.clock.setTimer(i * 20, () => caller.start()));
  // What the engine sends reaches the caller it is meant for, 20 ms later.
  let delivered = 0;
  for (let time = 0; time < 150_000; time += 10) {
    for (; delivered < test.sent.length; delivered += 1) {
      const { text } = test.sent[delivered]!;
      const caller = callers[Number(header(text, 'Call-ID')?.slice(6))];
      test.clock.setTimer(20, () => caller?.handle(text));
    }
    test.clock.advance(10);
  }
  const left = (await test.count('sip_transactions')) + (await test.count('sip_dialogs'));
  return { callers: callers.map(({ events }) => events), ends: ends.sort(), left };
}

describe('calls over a lossy network', () => {
  it('all end as meant with 10 % loss each way, at both ends, and leave nothing behind', async () => {
    const outcomes: Record<string, string[]> = {
      caller: ['200', 'hung up 200'],
      callee: ['200', 'bye'],
      busy: ['486'],
      cancel: ['487', 'cancelled 200'],
    };
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(0, 10), fc.nat(1_000_000), async (lossPercent, seed) => {
        const { callers, ends, left } = await callsOver(lossPercent, seed);
        callers.forEach((events, i) => {
          const ending = (['caller', 'callee', 'busy', 'cancel'] as const)[i % 4]!;
          expect([i, [...events].sort()]).toEqual([i, outcomes[ending]]);
        });
        const expected = ['busy', 'bye', 'cancel', 'hangup'].flatMap((end) => Array<string>(20).fill(end));
        expect(ends).toEqual(expected);
        expect(left).toBe(0);
      }),
      { numRuns: 4, examples: [[10, 1]] },
    );
  });
});
