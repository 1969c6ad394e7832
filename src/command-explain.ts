import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { formatEndpoint, parseEndpoint } from './base/addresses.ts';
import type { Clock } from './base/clock.ts';
import { createLog } from './base/log.ts';
import { Metrics } from './base/metrics.ts';
import { firstMismatch, type RuleTried } from './base/rule-tried.ts';
import { agreeMedia, termsOf } from './bridge/agree-media.ts';
import { factsOf, judgeArrival } from './bridge/judge-arrival.ts';
import { type CommandFlag, flagFault, readCommandLine } from './command-line.ts';
import type { Config } from './config/config.ts';
import { loadConfig } from './config/load.ts';
import { phoneMediaPolicy } from './gateway-phone-media.ts';
import { arrivingCall, createRoutes } from './gateway-routes.ts';
import { EmbeddedEngine } from './sip/embedded/embedded-engine.ts';
import type { DoorHandlers, Doors } from './sip/embedded/engine-doors.ts';
import type { Flow, Transport } from './sip/embedded/flow.ts';
import { parseMessage, type SipRequest } from './sip/embedded/message.ts';
import { parseNameAddress } from './sip/embedded/name-address.ts';
import { Transports } from './sip/embedded/transports.ts';
import type { InboundCall, InboundCaller, RefusedInvite, SipSource } from './sip/engine.ts';
import { identifyCaller } from './sip/identify-caller.ts';
import { TrunkBook } from './sip/trunk-book.ts';
import { UserBook } from './sip/user.ts';

/** What a request would come to, and why. */
export interface Explanation {
  /** `INVITE sip:agent@192.0.2.5` */
  readonly request: string;
  readonly from: string;
  readonly source: string;
  readonly rules: readonly RuleTried[];
  readonly mismatch: RuleTried | undefined;
  /** Of the final response; 200 for a call that is taken, 401 for one that is to show its password first. */
  readonly status: number;
  readonly outcome: string;
  /** What the explanation cannot know. */
  readonly notes: readonly string[];
}

export const EXPLAIN_FLAGS: readonly CommandFlag[] = [
  { flag: 'invite', takes: 'FILE', help: 'the request as it stands on the wire; - for standard input' },
  { flag: 'from', takes: 'ADDRESS[:PORT]', help: 'where it comes from; the top Via when left out' },
  { flag: 'over', takes: 'udp|tcp|tls|ws|wss', help: 'how it comes; the transport of the top Via when left out' },
  { flag: 'json', help: 'as JSON' },
];

const TRANSPORTS = ['udp', 'tcp', 'tls', 'ws', 'wss'] as const;

/** The port media would come to: an offer is only looked at. */
const NO_PORT = 9;

/** `ringdown explain`: nothing is opened and nothing is sent. @returns exit code and what to print @throws ConfigError, GatewayError */
export async function explainCommand(argv: readonly string[], clock: Clock): Promise<{ readonly text: string; readonly code: number }> {
  const { flags, rest } = readCommandLine(argv, EXPLAIN_FLAGS, 0);
  const file = flags.get('invite');
  if (file === undefined) throw flagFault('invite', 'needed: the file with the request');
  const bytes = readRequest(file);
  const { config } = loadConfig(rest);
  const explanation = await explain(config, clock, bytes, { from: flags.get('from'), over: flags.get('over') });
  const text = flags.has('json') ? JSON.stringify(explanation, undefined, 2) : explanationText(explanation);
  return { text, code: explanation.status < 300 ? 0 : 1 };
}

function readRequest(file: string): Buffer {
  try {
    const text = readFileSync(file === '-' ? 0 : file, 'latin1');
    // Editors and logs turn the line ends of the wire into their own, and some cut the empty line.
    const wire = text.includes('\r\n') ? text : text.replaceAll('\n', '\r\n');
    return Buffer.from(wire.includes('\r\n\r\n') ? wire : `${wire.replace(/(\r\n)*$/, '')}\r\n\r\n`, 'latin1');
  } catch (error) {
    throw flagFault('invite', `${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** As a fresh gateway with this configuration would decide. */
export async function explain(
  config: Config,
  clock: Clock,
  bytes: Buffer,
  given: { readonly from?: string | undefined; readonly over?: string | undefined } = {},
): Promise<Explanation> {
  const message = parseMessage(withoutLength(bytes));
  if (message?.type !== 'request') throw flagFault('invite', 'the file holds no SIP request: it begins with METHOD URI SIP/2.0');
  const source = sourceOf(message, given);
  const trunks = new TrunkBook(clock, config.trunks, undefined, config.callers);
  const users = new UserBook(config.users, config.sip.realm);
  const desk = new Counter();
  const deps = { clock, log: createLog('silent'), metrics: new Metrics(), trunks, users };
  const engine = new EmbeddedEngine({ ...deps, openDoors: async (handlers) => desk.open(handlers, source) }, options(config));
  const arrived: InboundCall[] = [];
  const refused: RefusedInvite[] = [];
  engine.onInvite = (invite) => void arrived.push(invite);
  engine.onRefused = (each) => void refused.push(each);
  await engine.start();
  try {
    desk.pass(message, source);
    const [invite] = arrived;
    const head = {
      request: `${message.method} ${message.uri}`,
      from: message.headers.first('from') ?? '',
      source: `${source.transport} ${formatEndpoint(source)}`,
    };
    const notes = notesOf(config, message);
    if (invite) return { ...head, ...judge(config, clock, invite, { trunks, users }), notes };
    const status = desk.status ?? 0;
    if (status === 401) return { ...head, ...challenged(config, clock, message, source, { trunks, users }), notes };
    const rules = refused[0]?.tried ?? [];
    const outcome = status === 0 ? 'no answer at all' : `${status} ${desk.reason}`;
    return { ...head, rules, mismatch: firstMismatch(rules), status, outcome, notes };
  } finally {
    await engine.stop();
  }
}

interface Books {
  readonly trunks: TrunkBook;
  readonly users: UserBook;
}

type Verdict = Pick<Explanation, 'rules' | 'mismatch' | 'status' | 'outcome'>;

type Caller = Pick<InboundCall, 'source' | 'caller' | 'requestUri' | 'from' | 'to' | 'offer' | 'header' | 'localAddress' | 'tried'>;

function judge(config: Config, clock: Clock, call: Caller, books: Books): Verdict {
  const verdict = judgeArrival(call, books);
  const rules = [...verdict.tried];
  const result = (status: number, outcome: string): Verdict => ({ rules, mismatch: firstMismatch(rules), status, outcome });
  if (verdict.type === 'refused') return result(verdict.status, `${verdict.status}: ${verdict.detail}`);
  verdict.admitted?.lease.release();
  const invite = call as InboundCall;
  const media = mediaFault(config, invite);
  if (media !== undefined) {
    rules.push({ rule: 'media', matched: false, why: media });
    return result(488, `488: ${media}`);
  }
  if (verdict.wanted) return result(200, `connected with ${verdict.wanted.to.destination} by ${verdict.wanted.to.trunk}`);
  const facts = factsOf(invite, verdict.admitted?.trunk, books.users);
  const { policy, webhook } = createRoutes(config).routeFor(arrivingCall(invite, clock.wallclock(), facts), rules);
  if (webhook) return result(200, `${webhook.url} decides, within ${webhook.withinMs / 1000} s`);
  return result(200, `answered by the model (${config.model.type}) for project ${policy.project}`);
}

function mediaFault(config: Config, invite: InboundCall): string | undefined {
  if (invite.offer === undefined) return undefined;
  const ports = { address: invite.localAddress, rtpPort: NO_PORT, rtcpPort: NO_PORT };
  try {
    agreeMedia(invite.offer, { ...ports, ...termsOf(phoneMediaPolicy(config, invite), invite.source) });
    return undefined;
  } catch (fault) {
    return fault instanceof Error ? fault.message : String(fault);
  }
}

/** A password cannot be checked here: its challenge would be another one. What follows is said for the case that it is right. */
function challenged(config: Config, clock: Clock, message: SipRequest, source: SipSource, books: Books): Verdict {
  const showsCredentials = message.headers.count('authorization') > 0;
  const { presumed, tried } = identifyCaller(
    { address: source.address, showsCredentials },
    { ...books.trunks.rules, hasUsers: books.users.size > 0 },
  );
  const caller: InboundCaller =
    presumed.type === 'trunk' ? { type: 'trunk', name: presumed.trunk.name } : { type: 'user', name: nameOf(message) };
  const who = presumed.type === 'trunk' ? `trunk ${presumed.trunk.name}` : `user ${nameOf(message)}`;
  const at = presumed.type === 'trunk' ? presumed.trunk.at?.('auth') : books.users.find(nameOf(message))?.source;
  const known = presumed.type === 'trunk' || books.users.find(nameOf(message)) !== undefined;
  const asked: RuleTried = {
    rule: presumed.type === 'trunk' ? `trunks.${presumed.trunk.name}.auth` : 'users',
    ...(at === undefined ? {} : { at }),
    matched: known,
    why: known ? `a password is asked for; taken as right here (${who})` : `there is no ${who}: every password is wrong`,
  };
  if (!known)
    return { rules: [...tried, asked], mismatch: asked, status: 401, outcome: `401: no password is right, for there is no ${who}` };
  const invite: Caller = {
    ...{ source, caller, requestUri: message.uri, from: uriIn(message, 'from'), to: uriIn(message, 'to'), localAddress: config.bind },
    ...{ offer: bodyOf(message), header: (name: string) => message.headers.first(name.toLowerCase()), tried: [...tried, asked] },
  };
  const verdict = judge(config, clock, invite, books);
  return { ...verdict, outcome: `401, and with the password of ${who}: ${verdict.outcome}` };
}

function uriIn({ headers }: SipRequest, name: 'from' | 'to'): string {
  return parseNameAddress(headers.first(name) ?? '')?.uri ?? '';
}

/** Of whoever shows credentials, or says who it is. */
function nameOf({ headers }: SipRequest): string {
  const shown = /username="([^"]{1,64})"/.exec(headers.first('authorization') ?? '')?.[1];
  return shown ?? /sips?:([^@;>]{1,64})@/.exec(headers.first('from') ?? '')?.[1] ?? '';
}

function bodyOf({ body }: SipRequest): string | undefined {
  return body.length === 0 ? undefined : Buffer.from(body).toString('utf8');
}

function notesOf(config: Config, message: SipRequest): string[] {
  const named = config.trunks.filter(({ lookUp }) => lookUp !== undefined).map(({ name }) => name);
  return [
    ...(named.length > 0 ? [`names are not looked up here: the addresses of ${named.join(', ')} are only those in its list`] : []),
    ...(config.trunks.some(({ register }) => register)
      ? ['calls to the Contact of a registration are known to the running gateway only']
      : []),
    ...(config.stir.policy !== 'off' || config.trunks.some(({ stir }) => stir === 'report' || stir === 'require')
      ? ['signatures of Identity headers are not verified here: their certificates would have to be fetched']
      : []),
    ...(message.method === 'INVITE' ? ['caps and lines are those of a gateway without calls'] : []),
  ];
}

function sourceOf(
  message: SipRequest,
  { from, over }: { readonly from?: string | undefined; readonly over?: string | undefined },
): SipSource {
  const via = message.headers.first('via') ?? '';
  const [, viaTransport = 'udp', sentBy = ''] = /^SIP\/2\.0\/(\w+)[ \t]+([^;,\s]+)/i.exec(via) ?? [];
  const transport = TRANSPORTS.find((each) => each === (over ?? viaTransport).toLowerCase());
  if (!transport) throw flagFault('over', 'allowed: udp, tcp, tls, ws, wss');
  const text = from ?? /;[ \t]*received=([^;,\s]+)/i.exec(via)?.[1] ?? sentBy;
  const endpoint = isIP(text) === 0 ? parseEndpoint(text) : { address: text, port: 5060 };
  if (!endpoint) throw flagFault('from', `an address is needed: ${text || 'there is no Via'} is none`);
  return { ...endpoint, transport };
}

/** What was cut or edited by hand has another length than it says. */
function withoutLength(bytes: Buffer): Buffer {
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, end).replace(/\r\n(?:content-length|l)[ \t]*:[^\r\n]*/gi, '');
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes.subarray(end)]);
}

function options(config: Config): ConstructorParameters<typeof EmbeddedEngine>[1] {
  return { bind: config.bind, port: 0, requestsPerSecond: 0, userAgent: 'Ringdown', sessionIntervalS: 0 };
}

/** Doors that open nothing: what the engine says is only noted. */
class Counter {
  status: number | undefined;
  reason = '';
  #handlers: DoorHandlers | undefined;

  open(handlers: DoorHandlers, source: SipSource): Doors {
    this.#handlers = handlers;
    const nobody: Flow = { transport: 'tcp', reliable: true, remote: source, open: true, send: () => undefined };
    const transport = (name: SipSource['transport']): Transport => ({
      listener: { address: '::', port: 5060, transport: name },
      flowTo: () => nobody,
      close: () => undefined,
    });
    const transports = new Transports(transport('udp'), transport('tcp'), transport('tls'));
    return { transports, connections: { tcp: 0, tls: 0, sockets: 0 }, close: () => undefined };
  }

  pass(message: SipRequest, source: SipSource): void {
    const flow: Flow = {
      ...{ transport: source.transport, reliable: true, remote: source, open: true },
      send: (bytes) => {
        const response = parseMessage(Buffer.from(bytes));
        if (response?.type !== 'response' || response.status < 200 || this.status !== undefined) return;
        this.status = response.status;
        this.reason = response.reason;
      },
    };
    this.#handlers?.onRead(message, source, flow);
  }
}

/** For people at a terminal. */
export function explanationText({ request, from, source, rules, mismatch, outcome, notes }: Explanation): string {
  const width = Math.max(0, ...rules.map(({ rule }) => rule.length));
  const places = Math.max(0, ...rules.map(({ at = 'default' }) => at.length));
  const lines = rules.map(
    ({ rule, at = 'default', matched, why }) => `  ${matched ? 'yes' : 'no '}  ${rule.padEnd(width)}  ${at.padEnd(places)}  ${why}`,
  );
  return [
    request,
    `  from ${from}`,
    `  by ${source}`,
    '',
    ...(lines.length > 0 ? [...lines, ''] : []),
    ...(mismatch ? [`first mismatch: ${mismatch.rule} (${mismatch.at ?? 'default'}): ${mismatch.why}`] : []),
    `outcome: ${outcome}`,
    ...notes.map((note) => `note: ${note}`),
  ].join('\n');
}
