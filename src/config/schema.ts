import { BlockList, isIPv6 } from 'node:net';
import { z } from 'zod';
import { canonicalAddress, parseEndpoint } from '../base/addresses.ts';
import { alerts } from './alerts.ts';
import { drachtio } from './drachtio.ts';
import { mcp } from './mcp.ts';
import { model } from './model.ts';
import { phoneCodecs, sdesOverPlain, srtpPolicy } from './phone-media.ts';
import { LEAST_KEY, projects } from './projects.ts';
import { routes } from './routes.ts';
import { secretText } from './secrets.ts';
import { stir } from './stir.ts';
import { tools } from './tools.ts';
import { trunks } from './trunks.ts';
import { users } from './users.ts';

/**
 * What every setting may be, its default, and why that default. A value arrives as text (flag, environment) or as what YAML
 * makes of it; each schema takes both. `describe` holds the reason for the default: --help and docs/configuration.md print it.
 */

const ROLES = ['sip', 'relay', 'transceiver', 'control'] as const;
export type Role = (typeof ROLES)[number];

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

/** A whole number, also as decimal text. */
function wholeNumber(min: number, max: number) {
  return z
    .union([
      z.number(),
      z
        .string()
        .regex(/^\d{1,9}$/)
        .transform(Number),
    ])
    .pipe(z.number().int().min(min).max(max));
}

const port = wholeNumber(0, 65535);

const nonEmptyText = z.string().trim().min(1).max(4096);

/** A literal address, in the form that sockets show. */
const address = z
  .string()
  .trim()
  .transform((text, context) => {
    const canonical = canonicalAddress(text);
    if (canonical !== undefined) return canonical;
    if (text.includes('%')) context.addIssue({ code: 'custom', message: 'an address with a zone means nothing to other machines' });
    else if (text.startsWith('[')) context.addIssue({ code: 'custom', message: 'write an address without a port without brackets' });
    else context.addIssue('not an address');
    return z.NEVER;
  });

const nobody = new BlockList();
nobody.addSubnet('0.0.0.0', 8, 'ipv4');
nobody.addSubnet('224.0.0.0', 3, 'ipv4'); // multicast and what is reserved
nobody.addAddress('::', 'ipv6');
nobody.addSubnet('ff00::', 8, 'ipv6');

/** An address by which somebody can be reached. */
const reachableAddress = address.refine((text) => !nobody.check(text, isIPv6(text) ? 'ipv6' : 'ipv4'), {
  message: 'nobody is reached by that address',
});

/** First and last UDP port, both used; or any the kernel gives. */
const rtpPorts = z.union([z.number(), z.string().trim()]).transform((value, context): { first: number; last: number } | 'any' => {
  if (value === 0 || value === '0') return 'any';
  const match = /^(\d{1,5})\s*-\s*(\d{1,5})$/.exec(String(value));
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (!match) context.addIssue('not a range');
  else if (first < 1024 || last > 65535) context.addIssue('outside 1024-65535');
  else if (first % 2 === 1) context.addIssue('the first port must be even: RTP takes an even port and RTCP the odd one after it');
  else if (last <= first) context.addIssue('no room: a call takes two ports');
  return { first, last };
});

/** `a, b` or a YAML list. */
function wordList<Item extends z.ZodType>(item: Item) {
  return z
    .union([z.string().transform((text) => text.split(',').map((word) => word.trim())), z.array(z.unknown())])
    .pipe(z.array(item).min(1).max(1000));
}

const roles = wordList(z.enum(ROLES)).transform((given) => ROLES.filter((role) => given.includes(role)));

/**
 * A node's number: `N`, or `C.N` for one of another cluster than 0, as one number (cluster 8 bit, node 16 bit). Node 0 stands for
 * "alone". A YAML number with a point is refused: 1.10 would be node 1 of cluster 1.
 */
const nodeId = z.union([z.number(), z.string()]).transform((value, context) => {
  const match = /^(?:(\d{1,3})\.)?(\d{1,5})$/.exec(typeof value === 'number' && !Number.isInteger(value) ? '' : String(value).trim());
  const [cluster, node] = [Number(match?.[1] ?? 0), Number(match?.[2])];
  if (!match || cluster > 255 || node < 1 || node > 65535) context.addIssue('not a node id');
  return cluster * 65536 + node;
});

/** `1=192.0.2.1:3479, 2=[2001:db8::1]:3479, …`, or a YAML map of id to address. */
const nodes = z.union([z.string(), z.record(z.string(), z.unknown())]).transform((value, context) => {
  const pairs = typeof value === 'string' ? value.split(',').map((pair) => pair.trim().split('=')) : Object.entries(value);
  const found: { readonly id: number; readonly address: string; readonly port: number }[] = [];
  for (const [idText, at, ...rest] of pairs) {
    const id = nodeId.safeParse(idText);
    const endpoint = typeof at === 'string' && rest.length === 0 ? parseEndpoint(at.trim()) : undefined;
    if (!id.success) context.addIssue(`"${idText}" is not a node id`);
    else if (!endpoint || endpoint.port === 0) context.addIssue(`node ${id.data} needs a literal address and a port`);
    else if (found.some((node) => node.id === id.data)) context.addIssue(`node ${id.data} stands there twice`);
    else {
      const address = canonicalAddress(endpoint.address);
      if (address === undefined) context.addIssue(`node ${id.data}: an address with a zone means nothing to other machines`);
      else found.push({ id: id.data, address, port: endpoint.port });
    }
  }
  return found;
});

/** As browsers send it (RFC 6454 §6.1). */
const ORIGIN = /^https?:\/\/[a-z0-9.:[\]-]{1,253}$/;

const dnsServer = z.string().transform((text, context) => {
  const server = canonicalAddress(text) === undefined ? parseEndpoint(text) : { address: text, port: 53 };
  if (!server || server.port === 0) context.addIssue('a DNS server is ADDRESS or ADDRESS:PORT');
  return server ?? { address: '', port: 0 };
});

export const schema = {
  'sip.port': port.default(5060).describe('the port RFC 3261 gives to SIP'),
  'sip.tls-port': z
    .union([z.literal('off'), port])
    .default(5061)
    .describe('the port RFC 3261 gives to SIP over TLS; opened when there is a certificate'),
  'sip.tls-cert': nonEmptyText.optional().describe('not set: the certificate of tls.cert'),
  'sip.tls-key': nonEmptyText.optional().describe('not set: the key of tls.key'),
  'sip.tls-clients': nonEmptyText
    .optional()
    .describe('not set: clients need no certificate; who they are is shown by digest or their address'),
  'sip.ws': z
    .enum(['trusted', 'anyone', 'off'])
    .default('trusted')
    .describe('who may open it is who may use the API: any page that a browser of this network shows could dial otherwise'),
  'sip.ws-origins': wordList(z.string().regex(ORIGIN, 'an origin: https://HOST or https://HOST:PORT'))
    .optional()
    .describe('not set: only pages of the gateway itself, and programs, which have no origin'),
  'sip.dns': wordList(dnsServer).optional().describe('not set: the servers of this machine (/etc/resolv.conf)'),
  'sip.rate': wholeNumber(0, 1_000_000)
    .default(200)
    .describe(
      'a call is some five requests: 40 calls a second from one address, more than one phone or small PBX sends and too few to starve others',
    ),
  'sip.ban': wholeNumber(0, 86_400)
    .default(300)
    .describe(
      'a scanner has gone elsewhere by then; who comes back within a day is banned for twice as long as the last time, a day at the most',
    ),
  'sip.ban-after': wholeNumber(5, 10_000)
    .default(20)
    .describe(
      'ten wrong passwords, twice what a person types before it looks, or twenty names: an office whose phones all start at once is let in by the first password that is right',
    ),
  'sip.realm': z
    .string()
    .regex(/^[ !#-[\]-~]{1,128}$/)
    .default('ringdown')
    .describe('a name of its own that needs no host name; who changes it has every `ha1:` made anew'),
  'sip.digest': wordList(z.enum(['SHA-256', 'MD5']))
    .default(['SHA-256', 'MD5'])
    .describe(
      'the strongest first (RFC 8760); `MD5` alone for old phones (baresip 1.0), which give up on a challenge of SHA-256 wherever it stands',
    ),
  'http.port': port.default(8080).describe('the usual port of HTTP services that are not root'),
  'relay.port': port.default(3478).describe('the port of STUN and TURN, which firewalls that let WebRTC out leave open'),
  'rtp.ports': rtpPorts
    .default({ first: 16384, last: 32767 })
    .describe('8192 calls; below the ports Linux gives to outgoing connections (32768 and up), so that the two never fight over one'),
  'api-key': secretText(LEAST_KEY)
    .optional()
    .describe('not set, and no project has one: only programs and pages of this machine are served'),
  'tls.cert': nonEmptyText
    .optional()
    .describe('not set: a certificate of our own authority, which is made at the first start; its file is printed'),
  'tls.key': nonEmptyText.optional().describe('not set: as for the certificate'),
  callers: z
    .enum(['anyone', 'trunks'])
    .optional()
    .describe(
      'not set: anyone, as long as a call costs nothing: with a model that is paid for, or trunks that may dial out, only trunks. Say `anyone` to open it all the same',
    ),
  bind: address
    .default('0.0.0.0')
    .describe(
      'every IPv4 interface: a phone must reach the gateway, and there are machines without IPv6; `::` is both. What HTTP serves to strangers is another matter: see SECURITY.md',
    ),
  'public-address': reachableAddress.optional().describe('not set: each answer names the address by which that peer is reached'),
  data: nonEmptyText.default('./data').describe('beside where the gateway was started: found without knowing the system'),
  roles: roles.default([...ROLES]).describe('the whole product in one process'),
  'max-calls': wholeNumber(1, 100_000)
    .default(100)
    .describe('a call may cost 0.9 % of a core and one process has one core for calls: 100 calls leave a tenth of it free'),
  workers: wholeNumber(0, 64)
    .default(0)
    .describe(
      'calls are carried in the process that speaks SIP; a process has one core for them, so a machine has use for one worker a core',
    ),
  drain: wholeNumber(0, 86_400).default(3600).describe('the longest conversation a realtime model allows is an hour'),
  'log-level': z.enum(LOG_LEVELS).default('info').describe("a call's life in a few lines; debug adds each decision"),
  'media-timeout': wholeNumber(1, 3600)
    .default(30)
    .describe(
      'long enough for a phone that changes from one radio network to another, short enough that a dead call is not billed for minutes',
    ),
  codecs: phoneCodecs
    .optional()
    .describe(
      'not set: what the phone prefers; in offers of ours the cheapest first, and no L16, which takes 256 kbit/s for what G.722 does in 64',
    ),
  srtp: srtpPolicy
    .default('optional')
    .describe('a phone that offers encryption gets it, one that does not is let in all the same: trunks without TLS know none'),
  'sdes-over-plain': sdesOverPlain
    .default('refuse')
    .describe('whoever can read the signalling could listen to the call, and both ends would call it encrypted'),
  'session-minutes': wholeNumber(1, 1440).default(60).describe("the reference's own limit: programs are written for it"),
  'agent.transfer-target': nonEmptyText
    .regex(/^(?:sip|tel):[!#-;=?-~]{1,250}$/, 'not a URI')
    .optional()
    .describe('not set: nobody is transferred'),
  'agent.callback-trunk': nonEmptyText.optional().describe('not set: nobody is called back'),
  trunks: trunks.default([]).describe('none: nothing can be dialled, and anyone may call'),
  users: users.default([]).describe('none: nobody can register, and who calls is a trunk or a stranger'),
  stir: stir.prefault({}).describe('`policy: off`: nobody is verified, and nothing outside is contacted'),
  alerts: alerts.default({ every: 60 }).describe('`every: 60`: each thing once a minute, in the log and the metrics'),
  projects: projects.default([]).describe('none: one project, `default`, with the key of api-key if there is one'),
  routes: routes.default([]).describe('none: every call is answered at once'),
  model: model.default({ type: 'embedded' }).describe('`type: embedded`: the agent that needs no other service'),
  mcp: mcp.prefault({}).describe('no servers; programs with a key may bring theirs, over https and on the public internet'),
  tools: tools.prefault({}).describe('none: the model can do nothing but speak, unless a program gives it tools'),
  drachtio: drachtio.default(false).describe('`false`: SIP needs no other program'),
  'node.id': nodeId.optional().describe('not set: one process needs no name'),
  'node.cluster-key-file': nonEmptyText.optional().describe('not set: one process makes a random key at each start'),
  'node.nodes': nodes.optional().describe('not set: one process has nobody to find'),
  'node.inner-port': port.default(3479).describe('next to the relay port'),
} as const;

export type Key = keyof typeof schema;
export type Values = { readonly [K in Key]: z.output<(typeof schema)[K]> };
