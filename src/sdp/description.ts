/** A session description (RFC 8866): parsed into lines and attributes whose order and unknown members are kept. */
export interface SessionDescription {
  readonly origin: Origin;
  readonly name: string;
  /** i=, u=, e=, p= as they came, between the name and the connection. */
  readonly information: readonly SdpLine[];
  readonly connection?: Connection;
  readonly bandwidths: readonly string[];
  /** t=, r=, z= as they came. */
  readonly times: readonly SdpLine[];
  readonly attributes: readonly Attribute[];
  readonly media: readonly MediaDescription[];
}

export interface Origin {
  readonly username: string;
  /** Up to 64 bits in decimal: text, because a number would lose digits. */
  readonly sessionId: string;
  readonly sessionVersion: string;
  readonly addressType: string;
  readonly address: string;
}

export interface Connection {
  readonly addressType: string;
  /** Without the TTL and count that a multicast address may carry. */
  readonly address: string;
}

export interface Attribute {
  readonly name: string;
  /** Absent in a flag such as `a=sendrecv`. */
  readonly value?: string;
}

export interface MediaDescription {
  /** audio, video, application, image … */
  readonly type: string;
  readonly port: number;
  readonly protocol: string;
  /** Payload types, or what the protocol has in their place. */
  readonly formats: readonly string[];
  readonly connection?: Connection;
  readonly bandwidths: readonly string[];
  readonly attributes: readonly Attribute[];
}

export interface SdpLine {
  readonly type: string;
  readonly value: string;
}

/** What is wrong with a description, and where. */
export interface SdpFault {
  readonly reason: 'malformed';
  readonly detail: string;
}

/** Longer than any honest offer by an order of magnitude (Chromium's with video is 7 kB). */
const MAX_CHARACTERS = 65_536;
const MAX_MEDIA = 32;
const MAX_ATTRIBUTES = 256;
const MAX_FORMATS = 128;
/** i=, b=, t= … of one section. */
const MAX_OTHER_LINES = 64;

/** Shown in faults: enough to find the line, short enough for a header. */
const SHOWN_CHARACTERS = 40;

class Fault extends Error {}

interface Section {
  connection?: Connection;
  readonly bandwidths: string[];
  readonly attributes: Attribute[];
}

/** Reads a description. Missing s= and t= lines, bare LFs and blank lines at the end are let pass; phones send them. */
export function parseDescription(text: string): SessionDescription | { readonly fault: SdpFault } {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof Fault) return { fault: { reason: 'malformed', detail: error.message } };
    throw error;
  }
}

function parse(text: string): SessionDescription {
  if (text.length > MAX_CHARACTERS) throw new Fault(`session description longer than ${MAX_CHARACTERS} characters`);
  const lines = text.split(/\r\n|\n|\r/);
  while (lines.length > 0 && lines[lines.length - 1]?.trim() === '') lines.pop();
  if (lines[0]?.trimEnd() !== 'v=0') throw new Fault('session description does not begin with v=0');
  let origin: Origin | undefined;
  let name: string | undefined;
  const information: SdpLine[] = [];
  const times: SdpLine[] = [];
  const session: Section = { bandwidths: [], attributes: [] };
  const media: (Section & { type: string; port: number; protocol: string; formats: string[] })[] = [];
  let section = session;
  let others = 0;
  lines.forEach((line, index) => {
    if (index === 0) return;
    const fault = (what: string) => new Fault(`line ${index + 1}: ${what}: ${printable(line)}`);
    const type = line[0] ?? '';
    if (line[1] !== '=' || type < 'a' || type > 'z') throw fault('not a line of a session description');
    const value = line.slice(2);
    const inSession = section === session;
    if (type !== 'a' && type !== 'm') {
      others += 1;
      if (others > MAX_OTHER_LINES) throw fault('too many lines');
    }
    switch (type) {
      case 'v':
        throw fault('second description');
      case 'o':
        if (origin || !inSession) throw fault('misplaced origin');
        origin = parseOrigin(value);
        if (!origin) throw fault('bad origin');
        break;
      case 's':
        if (inSession) name = value;
        break;
      case 'c': {
        const connection = parseConnection(value);
        if (!connection) throw fault('bad connection');
        // A section may name several addresses for layered multicast (§5.7); the first one counts.
        section.connection ??= connection;
        break;
      }
      case 'b':
        section.bandwidths.push(value);
        break;
      case 't':
      case 'r':
      case 'z':
        if (inSession) times.push({ type, value });
        break;
      case 'a':
        if (section.attributes.length === MAX_ATTRIBUTES) throw fault('too many attributes');
        section.attributes.push(parseAttribute(value));
        break;
      case 'm': {
        const described = parseMedia(value);
        if (!described) throw fault('bad media line');
        if (media.length === MAX_MEDIA) throw fault('too many media lines');
        const next = { ...described, bandwidths: [], attributes: [] };
        media.push(next);
        section = next;
        others = 0;
        break;
      }
      default:
        if (inSession) information.push({ type, value });
    }
  });
  if (!origin) throw new Fault('session description without an origin (o=)');
  return { origin, name: name ?? '-', information, times, media, ...session };
}

function printable(line: string): string {
  return JSON.stringify(line.slice(0, SHOWN_CHARACTERS));
}

function parseOrigin(value: string): Origin | undefined {
  const parts = value.trim().split(/ +/);
  const [username, sessionId, sessionVersion, network, addressType, address] = parts;
  if (parts.length !== 6 || network !== 'IN' || !username || !addressType || !address) return undefined;
  if (!/^\d{1,20}$/.test(sessionId ?? '') || !/^\d{1,20}$/.test(sessionVersion ?? '')) return undefined;
  return { username, sessionId: sessionId as string, sessionVersion: sessionVersion as string, addressType, address };
}

function parseConnection(value: string): Connection | undefined {
  const [network, addressType, address] = value.trim().split(/ +/);
  if (network !== 'IN' || !addressType || !address) return undefined;
  return { addressType, address: address.split('/')[0] ?? '' };
}

function parseAttribute(value: string): Attribute {
  const colon = value.indexOf(':');
  return colon < 0 ? { name: value.trimEnd() } : { name: value.slice(0, colon), value: value.slice(colon + 1).trimEnd() };
}

function parseMedia(value: string): { type: string; port: number; protocol: string; formats: string[] } | undefined {
  const [type, ports, protocol, ...formats] = value.trim().split(/ +/);
  const match = /^(\d{1,5})(?:\/\d{1,5})?$/.exec(ports ?? '');
  const port = Number(match?.[1]);
  if (!type || !protocol || !(port <= 65_535) || formats.length === 0 || formats.length > MAX_FORMATS) return undefined;
  return { type, port, protocol, formats };
}

/** Writes a description with its lines in the order of RFC 8866 §5. */
export function writeDescription(description: SessionDescription): string {
  const { origin, connection, attributes } = description;
  const lines = [
    'v=0',
    `o=${origin.username} ${origin.sessionId} ${origin.sessionVersion} IN ${origin.addressType} ${origin.address}`,
    `s=${description.name}`,
    ...description.information.map(({ type, value }) => `${type}=${value}`),
    ...(connection ? [writeConnection(connection)] : []),
    ...description.bandwidths.map((value) => `b=${value}`),
    ...description.times.map(({ type, value }) => `${type}=${value}`),
    ...attributes.map(writeAttribute),
  ];
  for (const media of description.media) {
    lines.push(`m=${media.type} ${media.port} ${media.protocol} ${media.formats.join(' ')}`);
    if (media.connection) lines.push(writeConnection(media.connection));
    lines.push(...media.bandwidths.map((value) => `b=${value}`), ...media.attributes.map(writeAttribute));
  }
  return `${lines.join('\r\n')}\r\n`;
}

function writeConnection({ addressType, address }: Connection): string {
  return `c=IN ${addressType} ${address}`;
}

function writeAttribute({ name, value }: Attribute): string {
  return value === undefined ? `a=${name}` : `a=${name}:${value}`;
}

/** The value of the first attribute of this name; '' for a flag, undefined when there is none. */
export function attributeOf(section: { readonly attributes: readonly Attribute[] }, name: string): string | undefined {
  const found = section.attributes.find((attribute) => attribute.name === name);
  return found && (found.value ?? '');
}

/** The values of all attributes of this name. */
export function attributesOf(section: { readonly attributes: readonly Attribute[] }, name: string): readonly string[] {
  return section.attributes.filter((attribute) => attribute.name === name).map((attribute) => attribute.value ?? '');
}
