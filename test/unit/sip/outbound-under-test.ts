import type { Call, DialFailure, DialOptions, DialProgress, OutboundCall } from '../../../src/sip/engine.ts';
import type { Trunk } from '../../../src/sip/trunk.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { ANSWER, EngineUnderTest, header, OFFER, type Sent } from './engine-under-test.ts';

export const TRUNK: Trunk = {
  name: 'carrier',
  peer: { address: '192.0.2.9', port: 5060 },
  transport: 'udp',
  addresses: [],
  caps: { concurrent: 10, perSecond: 1000, perDay: 1000, durationS: 14_400 },
  destinations: ['+1555*'],
  redirects: 'refuse',
  refer: 'refuse',
};

/** The engine with one trunk, and what its peer answers. */
export async function dialling(trunk: Partial<Trunk> = {}): Promise<EngineUnderTest> {
  return EngineUnderTest.start({}, (clock) => ({ trunks: new TrunkBook(clock, [{ ...TRUNK, ...trunk }]) }));
}

export interface Dialled {
  readonly outbound: OutboundCall;
  readonly progress: DialProgress[];
  readonly failures: DialFailure[];
  readonly answers: string[];
  readonly ends: string[];
  readonly call: () => Call;
  /** The last INVITE that was sent. */
  readonly invite: () => Sent;
}

export function dial(test: EngineUnderTest, options: Partial<DialOptions> = {}): Dialled {
  const outbound = test.engine.dial({ trunk: 'carrier', destination: '+15550001', offer: () => OFFER, ...options });
  const progress: DialProgress[] = [];
  const failures: DialFailure[] = [];
  const answers: string[] = [];
  const ends: string[] = [];
  let answered: Call | undefined;
  outbound.onProgress = (each) => void progress.push(each);
  outbound.onFailed = (each) => void failures.push(each);
  outbound.onAnswered = (call, answer) => {
    answered = call;
    answers.push(answer);
    call.onEnd = (end) => void ends.push(end);
  };
  test.clock.advance(0);
  return {
    outbound,
    progress,
    failures,
    answers,
    ends,
    call: () => {
      if (!answered) throw new Error('not answered');
      return answered;
    },
    invite: () => last(test, 'INVITE'),
  };
}

/** The last message of this kind that the engine sent. */
export function last(test: EngineUnderTest, what: string): Sent {
  const found = test.sent.findLast((each) => each.what === what);
  if (!found) throw new Error(`no ${what} was sent`);
  return found;
}

export interface ReplyParts {
  readonly tag?: string;
  readonly headers?: readonly string[];
  readonly sdp?: string;
  readonly contact?: string;
}

/** The peer's response to a request of ours. */
export function reply(sent: Sent, status: number, { tag = 'peer', headers = [], sdp, contact }: ReplyParts = {}): string {
  const to = header(sent.text, 'To') ?? '';
  const lines = ['Via', 'From', 'Call-ID', 'CSeq'].map((name) => `${name}: ${header(sent.text, name)}`);
  const body = sdp ?? '';
  return [
    `SIP/2.0 ${status} Because`,
    ...lines,
    `To: ${to}${tag === '' || to.includes(';tag=') ? '' : `;tag=${tag}`}`,
    ...(status < 300 ? [`Contact: ${contact ?? '<sip:peer@192.0.2.9:5060>'}`] : []),
    ...headers,
    ...(body ? ['Content-Type: application/sdp'] : []),
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

/** What was sent because of it. */
export function answer(test: EngineUnderTest, sent: Sent, status: number, parts?: ReplyParts): string[] {
  return test.exchange(reply(sent, status, parts), TRUNK.peer).map(({ what }) => what);
}

/** A request of the peer inside the dialog of an answered call of ours. */
export function fromPeer(
  invite: Sent,
  method: string,
  cseq: number,
  { headers = [], body = '', type = 'application/sdp' } = {},
  tag = 'peer',
): string {
  const ours = /;tag=(\S+)/.exec(header(invite.text, 'From') ?? '')?.[1];
  return [
    `${method} sip:x@192.0.2.1:5060 SIP/2.0`,
    `Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-peer-${method}-${cseq}-${tag}`,
    'Max-Forwards: 70',
    `From: ${header(invite.text, 'To')};tag=${tag}`,
    `To: <sip:us@192.0.2.1>;tag=${ours}`,
    `Call-ID: ${header(invite.text, 'Call-ID')}`,
    `CSeq: ${cseq} ${method}`,
    'Contact: <sip:peer@192.0.2.9:5060>',
    ...headers,
    ...(body ? [`Content-Type: ${type}`] : []),
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

export const SDP = ANSWER;
