import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Endpoint, endpointText, LOOPBACK, mustBeLoopback, openUdp, type UdpPort } from './endpoint.ts';
import { newBranch, newTag } from './phone-dialog.ts';
import { endpointOf, type HeaderLine, SipMessage, uriOf, writeResponse, writeSip } from './sip-message.ts';
import { EventLog, eventually } from './wait.ts';

/** A program that has drachtio carry its calls, as the double knows it. */
interface Program {
  readonly socket: Socket;
  /** Says what it has read, frame by frame. */
  bytes: Buffer;
  /** Whether the secret that it has shown is the right one; undefined before. */
  trusted: boolean | undefined;
}

/** A request on the network that waits for the program's answer. */
interface Asked {
  readonly request: SipMessage;
  readonly from: Endpoint;
  readonly program: Program;
  readonly tag: string;
  rseq: number;
}

/** A request of the program's that waits for the network's answer. */
interface Sent {
  readonly transaction: string;
  readonly request: SipMessage;
  readonly text: string;
  readonly to: Endpoint;
  readonly program: Program;
  readonly dialog: string | undefined;
}

interface Dialog {
  readonly id: string;
  readonly callId: string;
  local: string;
  remote: string;
  target: string;
  peer: Endpoint;
  cseq: number;
  readonly program: Program;
}

export interface DrachtioDoubleOptions {
  readonly secret?: string;
  /** Opens a connection to this program for each new request, as a server does that asks an HTTP handler. */
  readonly program?: () => Endpoint;
}

/**
 * Speaks the wire protocol of drachtio-server towards programs, and SIP over UDP towards phones: what a program over drachtio-srf can see of the real
 * server, without its timers and repeats. Written from what the server (2026-08) was seen to send; the contract suite runs over the real one, too.
 */
export class DrachtioDouble {
  readonly #options: DrachtioDoubleOptions;
  readonly #udp: UdpPort;
  readonly #server: Server;
  readonly #programs = new Set<Program>();
  readonly #asked = new Map<string, Asked>();
  readonly #sent = new Map<string, Sent>();
  readonly #dialogs = new Map<string, Dialog>();
  /** First lines of what programs have sent. */
  readonly heard = new EventLog<string>();
  readonly sip: Endpoint;
  readonly admin: Endpoint;

  private constructor(udp: UdpPort, server: Server, options: DrachtioDoubleOptions) {
    this.#udp = udp;
    this.#server = server;
    this.#options = options;
    this.sip = udp.local;
    const at = server.address();
    this.admin = { address: LOOPBACK, port: at !== null && typeof at !== 'string' ? at.port : 0 };
    udp.onDatagram = (datagram, from) => this.#fromNetwork(datagram.toString('utf8'), from);
    server.on('connection', (socket) => this.#welcome(socket));
  }

  static async open(options: DrachtioDoubleOptions = {}): Promise<DrachtioDouble> {
    const udp = await openUdp();
    const server = createServer().listen(0, LOOPBACK);
    await once(server, 'listening');
    return new DrachtioDouble(udp, server, options);
  }

  /** Programs that have shown the secret, or had it asked of them. */
  get programs(): number {
    return [...this.#programs].filter(({ trusted }) => trusted).length;
  }

  /** Bytes as they are to every program. */
  sendRaw(bytes: string): void {
    for (const { socket } of this.#programs) socket.write(bytes);
  }

  /** A request as if a phone had sent it, to every program. */
  sendRequest(raw: string, transaction: string): void {
    for (const program of this.#programs) this.#pass(program, raw, { address: LOOPBACK, port: 9 }, transaction, '');
  }

  /** As if it had been killed: programs see their connections end. */
  dropPrograms(): void {
    for (const { socket } of this.#programs) socket.destroy();
  }

  close(): void {
    this.dropPrograms();
    this.#server.close();
    this.#udp.close();
  }

  #welcome(socket: Socket): Program {
    const program: Program = { socket, bytes: Buffer.alloc(0), trusted: undefined };
    this.#programs.add(program);
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#fromProgram(program, chunk));
    socket.on('close', () => this.#programs.delete(program));
    socket.on('error', () => undefined);
    return program;
  }

  #fromProgram(program: Program, chunk: Buffer): void {
    program.bytes = Buffer.concat([program.bytes, chunk]);
    for (let hash = program.bytes.indexOf('#'); hash > 0; hash = program.bytes.indexOf('#')) {
      const end = hash + 1 + Number(program.bytes.toString('latin1', 0, hash));
      if (program.bytes.length < end) return;
      const frame = program.bytes.toString('utf8', hash + 1, end);
      program.bytes = program.bytes.subarray(end);
      this.#handle(program, frame);
    }
  }

  #handle(program: Program, frame: string): void {
    const split = frame.indexOf('\r\n');
    const line = split === -1 ? frame : frame.slice(0, split);
    const [id = '', verb = '', first = '', second = '', proxy] = line.split('|');
    this.heard.push(line);
    if (verb === 'authenticate') {
      program.trusted = first === (this.#options.secret ?? 'cymru');
      this.#frame(program, `${randomUUID()}|response|${id}|${program.trusted ? `OK|${endpointText(this.sip)}|v0.9.2|` : 'NO'}`);
    } else if (verb === 'sip') this.#fromApplication(program, id, { transaction: first, dialog: second, proxy }, frame.slice(split + 2));
    else this.#frame(program, `${randomUUID()}|response|${id}|OK`);
  }

  #fromApplication(program: Program, id: string, { transaction, dialog, proxy }: Wanted, raw: string): void {
    const message = new SipMessage(raw);
    if (message.status !== undefined) this.#respond(program, id, transaction, message);
    else if (message.method === 'CANCEL') this.#cancel(program, id, transaction);
    else if (dialog !== '') this.#requestInDialog(program, id, dialog, message);
    else this.#requestAnew(program, id, message, proxy);
  }

  #respond(program: Program, id: string, transaction: string, answer: SipMessage): void {
    const asked = this.#asked.get(transaction);
    if (!asked) {
      this.#frame(program, `${randomUUID()}|response|${id}|NOK|transaction not found`);
      return;
    }
    const { request, from } = asked;
    const status = answer.status ?? 500;
    const tag = answer.toTag ?? asked.tag;
    const dialog = status > 100 && status < 300 && request.method !== 'REGISTER';
    const own: HeaderLine[] = dialog ? [['Contact', `<sip:${endpointText(this.sip)}>`]] : this.#contacts(answer);
    const reliable = status < 200 && /100rel/i.test(answer.header('require') ?? '');
    if (reliable) asked.rseq += 1;
    const lines: HeaderLine[] = reliable ? [...own, ['RSeq', String(asked.rseq)]] : own;
    const reason = answer.startLine.split(' ').slice(2).join(' ');
    const text = writeResponse(request, status, reason, tag, [...lines, ...extra(answer)], answer.body);
    if (status >= 200) this.#asked.delete(transaction);
    const key = `${request.callId};from-tag=${request.fromTag ?? ''}`;
    if (request.method === 'INVITE' && request.toTag === undefined && status > 100 && status < 300) {
      this.#dialogs.set(key, {
        ...{ id: key, callId: request.callId, program, cseq: 1, peer: from },
        local: `${request.header('to') ?? ''};tag=${tag}`,
        remote: request.header('from') ?? '',
        target: uriOf(request.header('contact') ?? ''),
      });
    }
    this.#echo(program, id, text, transaction, request.method === 'INVITE' ? key : '');
    this.#toNetwork(text, from);
  }

  /** The network sees it with the branch of its INVITE. */
  #cancel(program: Program, id: string, transaction: string): void {
    const sent = [...this.#sent.values()].find((each) => each.transaction === transaction);
    if (!sent) return;
    const { request, to } = sent;
    const text = writeSip(`CANCEL ${request.requestUri} SIP/2.0`, [
      ['Via', request.header('via') ?? ''],
      ['From', request.header('from') ?? ''],
      ['To', request.header('to') ?? ''],
      ['Call-ID', request.callId],
      ['CSeq', `${request.cseq.number} CANCEL`],
    ]);
    this.#echo(program, id, text, randomUUID(), '');
    this.#toNetwork(text, to);
  }

  #requestInDialog(program: Program, id: string, key: string, wanted: SipMessage): void {
    const dialog = this.#dialogs.get(key);
    if (!dialog) {
      this.#frame(program, `${randomUUID()}|response|${id}|NOK|unable to find dialog`);
      return;
    }
    if (wanted.method !== 'ACK') dialog.cseq += 1;
    const own: HeaderLine[] = /INVITE|UPDATE|REFER/.test(wanted.method) ? [['Contact', `<sip:${endpointText(this.sip)}>`]] : [];
    const line = `${wanted.method} ${dialog.target} SIP/2.0`;
    const head = this.#head(dialog.local, dialog.remote, dialog.callId, dialog.cseq, wanted.method);
    this.#request(program, id, writeSip(line, [...head, ...own, ...extra(wanted)], wanted.body), dialog.peer, key);
    if (wanted.method === 'BYE') this.#dialogs.delete(key);
  }

  #requestAnew(program: Program, id: string, wanted: SipMessage, proxy: string | undefined): void {
    const to = endpointOf(proxy ?? wanted.requestUri);
    if (!to) return;
    const callId = wanted.callId || randomUUID();
    const head = this.#head(
      wanted.header('from') ?? `<sip:${endpointText(this.sip)}>;tag=${newTag()}`,
      wanted.header('to') ?? '',
      callId,
      wanted.cseq.number || 1,
      wanted.method,
    );
    const said = this.#contacts(wanted);
    const contacts: HeaderLine[] = said.length > 0 ? said : [['Contact', `<sip:${endpointText(this.sip)}>`]];
    this.#request(program, id, writeSip(wanted.startLine, [...head, ...contacts, ...extra(wanted)], wanted.body), to, undefined);
  }

  /** What a program says of contacts, ours by our address. */
  #contacts(message: SipMessage): HeaderLine[] {
    return message.all('contact').map((value) => ['Contact', value.replace('@localhost', `@${endpointText(this.sip)}`)]);
  }

  #head(from: string, to: string, callId: string, cseq: number, method: string): HeaderLine[] {
    return [
      ['Via', `SIP/2.0/UDP ${endpointText(this.sip)};rport;branch=${newBranch()}`],
      ['Max-Forwards', '70'],
      ['From', from],
      ['To', to],
      ['Call-ID', callId],
      ['CSeq', `${cseq} ${method}`],
    ];
  }

  #request(program: Program, id: string, text: string, to: Endpoint, dialog: string | undefined): void {
    const request = new SipMessage(text);
    const transaction = randomUUID();
    if (request.method !== 'ACK')
      this.#sent.set(`${request.branch} ${request.method}`, { transaction, request, text, to, program, dialog });
    this.#echo(program, id, text, transaction, dialog ?? '');
    this.#toNetwork(text, to);
  }

  #fromNetwork(raw: string, from: Endpoint): void {
    const message = new SipMessage(raw);
    if (message.status !== undefined) this.#responseFromNetwork(raw, message, from);
    else this.#requestFromNetwork(raw, message, from).catch(() => undefined);
  }

  #responseFromNetwork(raw: string, message: SipMessage, from: Endpoint): void {
    const sent = this.#sent.get(`${message.branch} ${message.method}`);
    const status = message.status ?? 0;
    if (!sent || status === 100) return;
    const { request, to, program, transaction } = sent;
    const key = sent.dialog ?? `${message.callId};from-tag=${message.fromTag ?? ''}`;
    if (message.method === 'INVITE' && status < 300 && message.toTag !== undefined && !this.#dialogs.has(key)) {
      this.#dialogs.set(key, {
        ...{ id: key, callId: message.callId, program, cseq: request.cseq.number, peer: from },
        local: request.header('from') ?? '',
        remote: message.header('to') ?? '',
        target: uriOf(message.header('contact') ?? ''),
      });
    }
    if (message.method === 'INVITE' && status >= 300) this.#toNetwork(ackOf(request, message), to);
    if (status >= 200 && message.method !== 'INVITE') this.#sent.delete(`${message.branch} ${message.method}`);
    if (message.method !== 'CANCEL') this.#pass(program, raw, from, transaction, key);
  }

  async #requestFromNetwork(raw: string, request: SipMessage, from: Endpoint): Promise<void> {
    const dialog = [...this.#dialogs.values()].find(({ callId }) => callId === request.callId && request.toTag !== undefined);
    const asked = [...this.#asked].find(([, each]) => each.request.callId === request.callId && each.request.method === 'INVITE');
    if (request.method === 'CANCEL') {
      this.#toNetwork(writeResponse(request, 200, 'OK', newTag()), from);
      if (!asked) return;
      const [transaction, { request: invite, program, tag }] = asked;
      this.#asked.delete(transaction);
      this.#pass(program, raw, from, transaction, '');
      this.#toNetwork(writeResponse(invite, 487, 'Request Terminated', tag), from);
      return;
    }
    if (request.method === 'ACK' && !dialog) return; // of a refusal
    if (request.toTag !== undefined && !dialog) {
      this.#toNetwork(writeResponse(request, 481, 'Call Does Not Exist', ''), from);
      return;
    }
    const program = dialog?.program ?? (await this.#programFor());
    if (!program) {
      this.#toNetwork(writeResponse(request, 503, 'Service Unavailable', newTag()), from);
      return;
    }
    const transaction = randomUUID();
    if (request.method === 'INVITE') this.#toNetwork(writeResponse(request, 100, 'Trying', ''), from);
    if (request.method !== 'ACK') this.#asked.set(transaction, { request, from, program, tag: newTag(), rseq: 100 });
    this.#pass(program, raw, from, transaction, dialog?.id ?? '');
    if (dialog && request.method === 'BYE') this.#dialogs.delete(dialog.id);
  }

  async #programFor(): Promise<Program | undefined> {
    const to = this.#options.program?.();
    if (!to) return [...this.#programs].find(({ trusted }) => trusted);
    mustBeLoopback(to);
    const socket = connect(to.port, to.address);
    const program = this.#welcome(socket);
    await eventually(() => program.trusted !== undefined, 5000, 'the program to show the secret');
    return program.trusted ? program : undefined;
  }

  #pass(program: Program, raw: string, from: Endpoint, transaction: string, dialog: string): void {
    const at = `${from.address}|${from.port}`;
    const line = `${randomUUID()}|sip|network|${Buffer.byteLength(raw)}|udp|${at}|${Date.now()}|${transaction}|${dialog}|${this.sip.address}|${this.sip.port}|${randomUUID()}`;
    this.#frame(program, `${line}\r\n${raw}`);
  }

  #echo(program: Program, id: string, text: string, transaction: string, dialog: string): void {
    const at = `application|${Buffer.byteLength(text)}|udp|${this.sip.address}|${this.sip.port}|${Date.now()}|${transaction}|${dialog}`;
    this.#frame(program, `${randomUUID()}|response|${id}|OK|${at}\r\n${text}`);
  }

  #frame({ socket }: Program, text: string): void {
    socket.write(`${Buffer.byteLength(text)}#${text}`);
  }

  #toNetwork(text: string, to: Endpoint): void {
    this.#udp.send(Buffer.from(text), to);
  }
}

interface Wanted {
  readonly transaction: string;
  readonly dialog: string;
  readonly proxy: string | undefined;
}

/** The lines of a program's message that are not the server's to write. */
function extra(message: SipMessage): HeaderLine[] {
  const own = /^(via|from|to|call-id|cseq|max-forwards|contact|content-length|rseq)$/i;
  return message.raw
    .slice(0, message.raw.indexOf('\r\n\r\n'))
    .split('\r\n')
    .slice(1)
    .flatMap((line): HeaderLine[] => {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).trim();
      return colon < 1 || own.test(name) ? [] : [[name, line.slice(colon + 1).trim()]];
    });
}

function ackOf(invite: SipMessage, refusal: SipMessage): string {
  return writeSip(`ACK ${invite.requestUri} SIP/2.0`, [
    ['Via', invite.header('via') ?? ''],
    ['Max-Forwards', '70'],
    ['From', invite.header('from') ?? ''],
    ['To', refusal.header('to') ?? ''],
    ['Call-ID', invite.callId],
    ['CSeq', `${invite.cseq.number} ACK`],
  ]);
}
