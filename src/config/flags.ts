import type { Key } from './schema.ts';

/** One setting: the three names it goes by and what to say about it. Its default and the reason for it are in schema.ts. */
export interface Option extends FileOption {
  readonly key: Exclude<Key, FileKey>;
  readonly flag: string;
  /** What stands after the flag. */
  readonly takes: string;
}

/** What a command line has no place for. */
export type FileKey = 'trunks' | 'users' | 'stir' | 'alerts' | 'projects' | 'routes' | 'model' | 'mcp' | 'tools' | 'drachtio';

/** A setting that stands in the file only. */
export interface FileOption {
  readonly key: Key;
  readonly group: Group;
  readonly help: string;
  /** What may be given, as a fault says it. */
  readonly allowed: string;
}

type Group =
  | 'Doors'
  | 'Calls'
  | 'Agent'
  | 'Trunks'
  | 'Users'
  | 'Caller identity'
  | 'Alerts'
  | 'Projects'
  | 'Routes'
  | 'Model'
  | 'MCP'
  | 'Tools'
  | 'Drachtio'
  | 'Process'
  | 'Roles apart';

const PORT = '0 to 65535; 0 takes any free port';

export const options: readonly Option[] = [
  { key: 'sip.port', flag: 'sip-port', takes: 'PORT', group: 'Doors', help: 'SIP over UDP and TCP', allowed: PORT },
  {
    key: 'sip.tls-port',
    flag: 'sip-tls-port',
    takes: 'PORT',
    group: 'Doors',
    help: 'SIP over TLS, when there is a certificate',
    allowed: `${PORT}; or off`,
  },
  {
    key: 'sip.tls-cert',
    flag: 'sip-tls-cert',
    takes: 'FILE',
    group: 'Doors',
    help: 'the certificate of SIP over TLS, as tls-cert; both are read again when they change',
    allowed: 'the path of a readable file',
  },
  {
    key: 'sip.tls-key',
    flag: 'sip-tls-key',
    takes: 'FILE',
    group: 'Doors',
    help: 'its key (PEM)',
    allowed: 'the path of a readable file',
  },
  {
    key: 'sip.tls-clients',
    flag: 'sip-tls-clients',
    takes: 'FILE',
    group: 'Doors',
    help: 'authorities (PEM) whose certificates clients of SIP over TLS must show',
    allowed: 'the path of a readable file',
  },
  {
    key: 'sip.ws',
    flag: 'sip-ws',
    takes: 'WHO',
    group: 'Doors',
    help: 'who may open SIP over WebSocket (/sip of the HTTP port): whom the API trusts, or anyone',
    allowed: 'trusted, anyone or off',
  },
  {
    key: 'sip.ws-origins',
    flag: 'sip-ws-origins',
    takes: 'LIST',
    group: 'Doors',
    help: 'web sites whose pages may open it besides our own',
    allowed: 'origins like https://phones.example.com with commas between',
  },
  {
    key: 'sip.dns',
    flag: 'sip-dns',
    takes: 'LIST',
    group: 'Calls',
    help: 'DNS servers that are asked for the names of trunks',
    allowed: 'literal addresses, with or without a port, with commas between',
  },
  {
    key: 'http.port',
    flag: 'http-port',
    takes: 'PORT',
    group: 'Doors',
    help: 'the API and the pages, with TLS and without; health and metrics in every process',
    allowed: PORT,
  },
  {
    key: 'relay.port',
    flag: 'relay-port',
    takes: 'PORT',
    group: 'Doors',
    help: 'the relay: WebRTC media of all sessions over UDP, or TCP where that is blocked',
    allowed: PORT,
  },
  {
    key: 'rtp.ports',
    flag: 'rtp-ports',
    takes: 'A-B',
    group: 'Doors',
    help: 'RTP of phones: two ports a call; with 0 the kernel chooses',
    allowed: 'A-B with A even and both in 1024-65535, or 0 for any free ports',
  },
  {
    key: 'api-key',
    flag: 'api-key',
    takes: 'KEY',
    group: 'Doors',
    help: 'a key for the API; more of them in the file, as projects',
    allowed: 'at least 16 characters of visible ASCII',
  },
  {
    key: 'tls.cert',
    flag: 'tls-cert',
    takes: 'FILE',
    group: 'Doors',
    help: 'the certificate of the HTTP port, with those between it and its authority (PEM)',
    allowed: 'the path of a readable file',
  },
  {
    key: 'tls.key',
    flag: 'tls-key',
    takes: 'FILE',
    group: 'Doors',
    help: 'its key (PEM)',
    allowed: 'the path of a readable file',
  },
  {
    key: 'bind',
    flag: 'bind',
    takes: 'ADDR',
    group: 'Doors',
    help: 'the local address of every door',
    allowed: 'an IPv4 or IPv6 address; 0.0.0.0 is every interface over IPv4, :: every interface over both',
  },
  {
    key: 'public-address',
    flag: 'public-address',
    takes: 'ADDR',
    group: 'Doors',
    help: 'the address others reach the gateway by, when a NAT stands before it',
    allowed: 'an IPv4 or IPv6 address of a family that bind speaks; it stands for the addresses of its own family',
  },
  {
    key: 'max-calls',
    flag: 'max-calls',
    takes: 'N',
    group: 'Calls',
    help: 'calls at once; one more is refused with 503',
    allowed: '1 to 100000',
  },
  {
    key: 'callers',
    flag: 'callers',
    takes: 'WHO',
    group: 'Calls',
    help: 'who may call: anyone, or only trunks',
    allowed: 'anyone or trunks',
  },
  {
    key: 'sip.rate',
    flag: 'sip-rate',
    takes: 'N',
    group: 'Calls',
    help: 'SIP requests a second from one address; 0 is no limit',
    allowed: '0 to 1000000',
  },
  {
    key: 'sip.ban',
    flag: 'sip-ban',
    takes: 'SECONDS',
    group: 'Calls',
    help: 'who behaves as a scanner does is not heard for so long; 0 bans nobody',
    allowed: '0 to 86400',
  },
  {
    key: 'sip.ban-after',
    flag: 'sip-ban-after',
    takes: 'N',
    group: 'Calls',
    help: 'a scanner tries so many names in a minute; a wrong password is two',
    allowed: '5 to 10000',
  },
  {
    key: 'sip.realm',
    flag: 'sip-realm',
    takes: 'NAME',
    group: 'Calls',
    help: 'the name that users are asked for their password with; the digests of `ha1:` hold it',
    allowed: 'text of 1 to 128 characters, without quotes and backslashes',
  },
  {
    key: 'sip.digest',
    flag: 'sip-digest',
    takes: 'LIST',
    group: 'Calls',
    help: 'what users are offered to show their password with',
    allowed: 'SHA-256, MD5 or both, with a comma between',
  },
  {
    key: 'media-timeout',
    flag: 'media-timeout',
    takes: 'SECONDS',
    group: 'Calls',
    help: 'a call that sends no media for so long is ended',
    allowed: '1 to 3600',
  },
  {
    key: 'codecs',
    flag: 'codecs',
    takes: 'LIST',
    group: 'Calls',
    help: 'codecs of phones, the preferred first; trunks may have a list of their own',
    allowed: 'PCMU, PCMA, G722, opus, L16/16000, L16/8000, with commas',
  },
  {
    key: 'srtp',
    flag: 'srtp',
    takes: 'POLICY',
    group: 'Calls',
    help: 'encryption of the media of phones; trunks may have a policy of their own',
    allowed: 'off, optional or required',
  },
  {
    key: 'sdes-over-plain',
    flag: 'sdes-over-plain',
    takes: 'WHAT',
    group: 'Calls',
    help: 'SRTP keys in descriptions (SDES) that come over UDP, TCP or WS, without TLS',
    allowed: 'refuse or allow',
  },
  {
    key: 'session-minutes',
    flag: 'session-minutes',
    takes: 'N',
    group: 'Calls',
    help: 'a session that a program configured or looks into ends after so long',
    allowed: '1 to 1440',
  },
  {
    key: 'drain',
    flag: 'drain',
    takes: 'SECONDS',
    group: 'Calls',
    help: 'how long calls may go on after SIGTERM',
    allowed: '0 to 86400',
  },
  {
    key: 'agent.transfer-target',
    flag: 'agent-transfer-target',
    takes: 'URI',
    group: 'Agent',
    help: "key 5 asks the caller's side to call this",
    allowed: 'a sip: or tel: URI',
  },
  {
    key: 'agent.callback-trunk',
    flag: 'agent-callback-trunk',
    takes: 'NAME',
    group: 'Agent',
    help: 'key 9 calls the caller back by this trunk',
    allowed: 'the name of one of the trunks',
  },
  {
    key: 'data',
    flag: 'data',
    takes: 'DIR',
    group: 'Process',
    help: 'call records, certificates and journals',
    allowed: 'the path of a directory',
  },
  {
    key: 'workers',
    flag: 'workers',
    takes: 'N',
    group: 'Process',
    help: 'processes that carry the calls, each with its part of the RTP ports; 0 is none but this one',
    allowed: '0 to 64',
  },
  {
    key: 'log-level',
    flag: 'log-level',
    takes: 'LEVEL',
    group: 'Process',
    help: 'how much is logged (JSON lines on standard error)',
    allowed: 'trace, debug, info, warn, error or silent',
  },
  {
    key: 'roles',
    flag: 'roles',
    takes: 'LIST',
    group: 'Roles apart',
    help: 'the parts of the gateway this process runs',
    allowed: 'some of sip, relay, transceiver, control, with commas between',
  },
  {
    key: 'node.id',
    flag: 'node-id',
    takes: 'N',
    group: 'Roles apart',
    help: "this process's number",
    allowed: '1 to 65535, or CLUSTER.N with a cluster up to 255 (in quotes in YAML)',
  },
  {
    key: 'node.cluster-key-file',
    flag: 'cluster-key-file',
    takes: 'FILE',
    group: 'Roles apart',
    help: 'the secret all processes share: a line `keyId:base64` for each key, the current one first',
    allowed: 'the path of a readable file of at least 32 bytes',
  },
  {
    key: 'node.nodes',
    flag: 'nodes',
    takes: 'ID=HOST:PORT,…',
    group: 'Roles apart',
    help: 'the inner addresses of the processes of the cluster',
    allowed: 'id=address:port with commas between; ids as for --node-id, literal addresses (IPv6 in brackets) of a family that bind speaks',
  },
  {
    key: 'node.inner-port',
    flag: 'inner-port',
    takes: 'PORT',
    group: 'Roles apart',
    help: "this process's port for the other processes",
    allowed: PORT,
  },
];

/** What a command line has no place for. */
export const fileOptions: readonly FileOption[] = [
  {
    key: 'trunks',
    group: 'Trunks',
    help: 'neighbours that calls go to and come from, and what each of them may cost',
    allowed: 'a list of maps with name and peer, and what else docs/configuration.md names',
  },
  {
    key: 'users',
    group: 'Users',
    help: 'softphones that register here, and what each of them may call',
    allowed: 'a list of maps with name and password, and what else docs/configuration.md names',
  },
  {
    key: 'stir',
    group: 'Caller identity',
    help: 'whether callers are who they say they are (STIR/SHAKEN)',
    allowed: 'a map with policy, anchors, max-age, allow and ca',
  },
  {
    key: 'alerts',
    group: 'Alerts',
    help: 'who is told when a cap or a guard trips',
    allowed: 'a map with webhook and every',
  },
  {
    key: 'projects',
    group: 'Projects',
    help: 'who may use the API: calls and sessions of one project are not there for the others',
    allowed: 'a list of maps with name and keys',
  },
  {
    key: 'routes',
    group: 'Routes',
    help: 'what becomes of calls that come in: the first route that fits answers them, or asks a program',
    allowed: 'a list of maps with answer or webhook, and what else docs/configuration.md names',
  },
  {
    key: 'model',
    group: 'Model',
    help: 'who talks to callers',
    allowed: 'a map with type, and what else docs/configuration.md names',
  },
  {
    key: 'mcp',
    group: 'MCP',
    help: 'servers of tools, and which of them sessions may bring',
    allowed: 'a map with servers, allow, session-servers, list-seconds and call-seconds, as docs/configuration.md names them',
  },
  {
    key: 'tools',
    group: 'Tools',
    help: 'what the model may do by itself, and what callers hear while it does',
    allowed: 'a map of what docs/configuration.md names',
  },
  {
    key: 'drachtio',
    group: 'Drachtio',
    help: 'drachtio servers that have the sockets of SIP in place of this process',
    allowed: 'false, or a map with secret and listen or servers, and what else docs/configuration.md names',
  },
];

export function isFileKey(key: Key): key is FileKey {
  return fileOptions.some((option) => option.key === key);
}

/** Everything that can be set. */
export const settings: readonly FileOption[] = [...options, ...fileOptions];

/** Flags that ask for something and take no value; `config` names the file and so cannot stand in it. */
export const QUESTIONS = ['help', 'version', 'print-config'] as const;
export type Question = (typeof QUESTIONS)[number];
export const CONFIG_FLAG = 'config';

/**
 * Names this product will have and does not have yet. They are refused by name: a flag that is silently ignored is a
 * certificate nobody serves or a password nobody asks for.
 */
export const notBuilt: readonly { readonly flag?: string; readonly key?: string; readonly what: string }[] = [
  { flag: 'redis', key: 'redis', what: 'the Redis directory' },
  { flag: 'region', key: 'region', what: 'regions' },
  { flag: 'recordings', key: 'recordings', what: 'recordings' },
];

/** `sip-port` → `RINGDOWN_SIP_PORT`. */
export function environmentName(flag: string): string {
  return `${ENVIRONMENT_PREFIX}${flag.toUpperCase().replaceAll('-', '_')}`;
}

export const ENVIRONMENT_PREFIX = 'RINGDOWN_';
