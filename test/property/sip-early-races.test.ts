import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Call, InboundCall } from '../../src/sip/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { BadNetwork, type BadNetworkOptions, CALLEE, CALLER, engineOn, finals, requests } from '../unit/sip/engine-pair.ts';
import { ANSWER, header, OFFER, request, responseTo, toTagOf } from '../unit/sip/engine-under-test.ts';

/* A caller that keeps the rules of the wire and no others: everything at any time, early dialogs included. */

const OPERATIONS = [
  'caller cancel',
  'caller prack',
  'caller bye',
  'caller update',
  'caller update with offer',
  'caller reinvite',
  'caller info',
  'callee ring',
  'callee progress',
  'callee answer',
  'callee reject',
  'callee hangup',
  'callee reinvite',
  'callee update',
] as const;

type Operation = (typeof OPERATIONS)[number];

interface Course {
  readonly steps: readonly { readonly at: number; readonly operation: Operation }[];
  readonly network: BadNetworkOptions;
  /** Headers of the INVITE. */
  readonly headers: readonly string[];
  readonly offers: boolean;
  readonly ackAfterMs: number;
  /** Acknowledges every reliable response by itself. */
  readonly pracks: boolean;
  /** What our re-INVITEs and UPDATEs are answered with. */
  readonly answers: 200 | 491 | 488;
}

/** The scripted caller on the network. */
class RawCaller {
  readonly #clock: FakeClock;
  readonly #network: BadNetwork;
  readonly #course: Course;
  readonly #acknowledged = new Set<string>();
  #cseq = 1;
  #toTag: string | undefined;
  #rseq: string | undefined;
  #heard = false;
  #final = false;
  #answered = false;
  #saidBye = false;

  constructor(clock: FakeClock, network: BadNetwork, course: Course) {
    this.#clock = clock;
    this.#network = network;
    this.#course = course;
    network.open(CALLER).onDatagram = (datagram) => this.#handle(datagram.toString());
  }

  invite(): void {
    const { headers, offers } = this.#course;
    this.#send(
      this.#write(
        'INVITE',
        1,
        { headers: [...headers, 'Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK'], body: offers ? OFFER : '' },
        INVITE_BRANCH,
      ),
    );
  }

  act(what: string): void {
    if (what === 'cancel') {
      if (!this.#heard) return; // it may overtake the INVITE (RFC 3261 §9.1)
      this.#send(this.#write('CANCEL', 1, {}, INVITE_BRANCH, false));
      return;
    }
    // Nothing overtakes a BYE of ours but what was sent before it.
    if (this.#toTag === undefined || this.#saidBye) return;
    if (what === 'prack') this.#next('PRACK', this.#rseq === undefined ? {} : { headers: [`RAck: ${this.#rseq} 1 INVITE`] });
    if (what === 'bye') this.#next('BYE');
    if (what === 'update') this.#next('UPDATE');
    if (what === 'update with offer') this.#next('UPDATE', { body: OFFER });
    if (what === 'reinvite') this.#next('INVITE', { body: OFFER });
    if (what === 'info') this.#next('INFO');
    if (what === 'bye') this.#saidBye = true;
  }

  /** Hangs up in whatever way is right now. */
  end(): void {
    if (this.#answered) this.act('bye');
    else this.act('cancel');
  }

  #handle(text: string): void {
    if (text.startsWith('SIP/2.0')) this.#handleResponse(text);
    else if (/^(?:INVITE|UPDATE) /.test(text)) this.#reply(text);
    else if (!text.startsWith('ACK ')) this.#send(responseTo(text, 200));
  }

  #reply(text: string): void {
    const { answers } = this.#course;
    const type = `Content-Type: application/sdp\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`;
    const response = responseTo(text, answers);
    this.#send(answers === 200 && text.endsWith('\r\n\r\n') === false ? response.replace('Content-Length: 0\r\n\r\n', type) : response);
  }

  #handleResponse(text: string): void {
    const status = Number(text.slice(8, 11));
    const [number = '', method] = header(text, 'CSeq')?.split(' ') ?? [];
    if (method !== 'INVITE') return;
    this.#heard = true;
    if (status > 100) this.#toTag ??= toTagOf(text);
    if (status < 200) this.#handleProvisional(text);
    else if (status >= 300) this.#send(this.#write('ACK', Number(number), {}, branchOf(text)));
    else {
      this.#answered = true;
      // The first answer belongs to the first offer, whoever made it; a re-INVITE of ours always holds one.
      const body = number === '1' && !this.#course.offers && text.includes('m=audio') ? ANSWER : '';
      const wait = this.#acknowledged.has(number) ? 0 : this.#course.ackAfterMs;
      this.#acknowledged.add(number);
      this.#clock.setTimer(wait, () => this.#send(this.#write('ACK', Number(number), { body })));
    }
    if (status >= 200 && number === '1') this.#final = true;
  }

  #handleProvisional(text: string): void {
    const rseq = header(text, 'RSeq');
    if (rseq === undefined || rseq === this.#rseq) return;
    this.#rseq = rseq;
    const { pracks, offers, ackAfterMs } = this.#course;
    const body = !offers && text.includes('m=audio') ? ANSWER : '';
    if (pracks)
      this.#clock.setTimer(ackAfterMs, () => {
        if (!this.#saidBye) this.#next('PRACK', { headers: [`RAck: ${rseq} 1 INVITE`], body });
      });
  }

  get hasFinal(): boolean {
    return this.#final;
  }

  #next(method: string, more: { headers?: readonly string[]; body?: string } = {}): void {
    this.#cseq += 1;
    this.#send(this.#write(method, this.#cseq, more));
  }

  #write(
    method: string,
    cseq: number,
    { headers = [], body = '' }: { headers?: readonly string[]; body?: string },
    branch?: string,
    tagged = true,
  ): string {
    const toTag = tagged && method !== 'CANCEL' && !(method === 'INVITE' && cseq === 1) ? this.#toTag : undefined;
    return request({
      method,
      cseq,
      headers,
      body,
      toTag,
      uri: 'sip:agent@192.0.2.9',
      contact: '<sip:caller@192.0.2.1:5060>',
      via: `SIP/2.0/UDP 192.0.2.1:5060;branch=${branch ?? `z9hG4bKraw${cseq}${method}`}`,
      fromTag: 'raw',
    }).replace(/\r\nContent-Type: application\/sdp(?=\r\nContent-Length: 0)/, '');
  }

  #send(text: string): void {
    this.#network.send(text, CALLER, CALLEE);
  }
}

const INVITE_BRANCH = 'z9hG4bKrawInvite';

function branchOf(text: string): string | undefined {
  return /;branch=([^;\s]+)/.exec(header(text, 'Via') ?? '')?.[1];
}

async function play(course: Course) {
  const clock = new FakeClock();
  const network = new BadNetwork(clock, course.network);
  const callee = await engineOn(clock, network, CALLEE, { minSessionS: 2, sessionIntervalS: 4 });
  const caller = new RawCaller(clock, network, course);
  const told: string[] = [];
  let invite: InboundCall | undefined;
  let call: Call | undefined;
  let unsettled = 0;
  callee.engine.onInvite = (arrived) => {
    invite = arrived;
    arrived.onAnswer = () => true;
    arrived.onOffer = () => ANSWER;
    arrived.onCancel = () => void told.push('cancelled');
  };
  const answer = (): void => {
    call = invite?.answer(ANSWER);
    if (!call) return;
    told.push('answered');
    call.onAnswer = () => true;
    call.onOffer = () => ANSWER;
    call.onOfferWanted = () => OFFER;
    call.onEnd = () => void told.push('ended');
  };
  const settle = (promise: Promise<string> | undefined): void => {
    const done = (): void => {
      unsettled -= 1;
    };
    unsettled += 1;
    (promise ?? Promise.resolve('')).then(done, done);
  };
  const callees: Readonly<Record<string, () => void>> = {
    ring: () => invite?.ring(),
    progress: () => invite?.progress?.(ANSWER),
    answer: () => (told.length === 0 ? answer() : undefined),
    reject: () => {
      if (!invite || told.length > 0) return;
      told.push('rejected');
      invite.reject({ status: 486 });
    },
    hangup: () => call?.hangup(),
    reinvite: () => settle(call?.reinvite?.(OFFER)),
    update: () => settle(call?.update?.(OFFER)),
  };
  caller.invite();
  for (const { at, operation } of course.steps) {
    const [who, what = ''] = operation.split(/ (.*)/);
    clock.setTimer(at, () => (who === 'caller' ? caller.act(what) : callees[what]?.()));
  }
  for (let now = 0; now < 6000; now += 50) {
    clock.advance(50);
    await Promise.resolve();
  }
  caller.end();
  clock.advance(500); // an answer that crossed the CANCEL
  caller.end();
  clock.advance(40_000);
  await new Promise((resolve) => setImmediate(resolve));
  return { told, caller, unsettled, faults: callee.faults, datagrams: network.datagrams, left: [await callee.held(), clock.timers] };
}

const step = fc.record({ at: fc.integer({ min: 0, max: 3000 }), operation: fc.constantFrom(...OPERATIONS) });

const HEADERS: readonly (readonly string[])[] = [
  [],
  ['Supported: 100rel, timer'],
  ['Require: 100rel'],
  ['Supported: timer', 'Session-Expires: 2;refresher=uas'],
];

const courses: fc.Arbitrary<Course> = fc.record({
  steps: fc
    .tuple(fc.array(step, { maxLength: 14 }), fc.option(fc.integer({ min: 0, max: 1500 })))
    .map(([some, at]) => (at === null ? some : [...some, { at, operation: 'callee answer' as const }])),
  network: fc.record({
    seed: fc.nat(),
    twice: fc.constantFrom(0, 0.3),
    delayMs: fc.constantFrom([1, 1] as const, [1, 300] as const),
  }),
  headers: fc.constantFrom(...HEADERS),
  offers: fc.boolean(),
  ackAfterMs: fc.constantFrom(0, 30, 700),
  pracks: fc.boolean(),
  answers: fc.constantFrom(200 as const, 491 as const, 488 as const),
});

describe('a caller that may do anything at any time', () => {
  it('gets one final response to each request, and its call ends and leaves nothing after 40 s', async () => {
    await fc.assert(
      fc.asyncProperty(courses, async (course) => {
        const { told, caller, unsettled, faults, datagrams, left } = await play(course);
        expect(faults).toEqual([]);
        expect(unsettled).toBe(0);
        expect(caller.hasFinal).toBe(true);
        expect([['cancelled'], ['rejected'], ['answered', 'ended']]).toContainEqual(told);
        const answered = finals(datagrams);
        for (const [which, texts] of answered) expect([which, texts.size]).toEqual([which, 1]);
        expect(new Set(answered.keys())).toEqual(requests(datagrams));
        expect(left).toEqual([{ transactions: 0, dialogs: 0 }, 0]);
      }),
      { numRuns: 500 },
    );
  });
});
