import { readdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Child } from './child.ts';
import { type Endpoint, endpointText, freePorts, LOOPBACK } from './endpoint.ts';
import { requiredPeer } from './peers.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { concat, silence } from './tones.ts';
import { EventLog, eventually } from './wait.ts';
import { readWav, writeWav } from './wav.ts';

export interface BaresipOptions {
  readonly user?: string;
  /** What it says from the moment the call is up; silence follows for `silenceMs`. */
  readonly microphone?: Int16Array;
  /** Of the microphone and of what it plays; 8000 when absent. What it recorded has the rate of the codec. */
  readonly rateHz?: 8000 | 16_000 | 48_000;
  readonly silenceMs?: number;
  /** In order of preference. */
  readonly codecs?: readonly (keyof typeof CODECS)[];
  /** What it asks of the media: SDES if it can be had, SDES or no call, a DTLS handshake. */
  readonly encryption?: 'srtp' | 'srtp-mand' | 'dtls_srtp';
  readonly ice?: boolean;
  /** It speaks TLS and trusts this authority alone; what it dials has to say `transport=tls`. */
  readonly caFile?: string;
  readonly rtcpMux?: boolean;
  readonly answer?: 'auto' | 'manual';
  /** What it shows to whom asks for a password. */
  readonly login?: { readonly username: string; readonly password: string };
  /** Where it registers. */
  readonly registrar?: Endpoint;
}

/** As its accounts name them. */
const CODECS = {
  PCMU: 'PCMU/8000/1',
  PCMA: 'PCMA/8000/1',
  G722: 'G722/16000/1',
  opus: 'opus/48000/2',
  L16: 'L16/16000/1',
} as const;

/** Where Debian and others put its modules. */
const MODULE_FOLDERS = ['/usr/lib/baresip/modules', '/usr/local/lib/baresip/modules', '/usr/lib/x86_64-linux-gnu/baresip/modules'];

function moduleFolder(): string {
  const found = MODULE_FOLDERS.find((folder) => {
    try {
      return readdirSync(folder).includes('ctrl_tcp.so');
    } catch {
      return false;
    }
  });
  if (!found) throw new Error(`baresip has no module ctrl_tcp.so in ${MODULE_FOLDERS.join(', ')}`);
  return found;
}

/** An event of baresip, as its ctrl_tcp module writes it. */
export interface BaresipEvent {
  readonly type: string;
  readonly param?: string;
  readonly [key: string]: unknown;
}

interface BaresipAnswer {
  readonly response: true;
  readonly ok: boolean;
  readonly data: string;
  readonly token: string;
}

const DEADLINE_MS = 5000;
const START_TRIES = 3;

function controlOf(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, LOOPBACK, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** A real baresip without sound card: its microphone is a file, what it hears is recorded, the test holds its remote control. */
export class Baresip {
  readonly #child: Child;
  readonly #control: Socket;
  readonly #folder: string;
  readonly #answers = new EventLog<BaresipAnswer>();
  #commands = 0;

  readonly local: Endpoint;
  readonly events = new EventLog<BaresipEvent>();

  constructor(child: Child, control: Socket, folder: string, local: Endpoint) {
    this.#child = child;
    this.#control = control;
    this.#folder = folder;
    this.local = local;
    let pending: Buffer = Buffer.alloc(0);
    control.on('data', (chunk) => {
      const { messages, rest } = splitNetstrings(Buffer.concat([pending, chunk]));
      pending = rest;
      for (const message of messages) this.#handle(JSON.parse(message) as BaresipEvent | BaresipAnswer);
    });
    control.on('error', () => undefined);
  }

  static async start(options: BaresipOptions = {}): Promise<Baresip> {
    const program = requiredPeer('baresip');
    for (let tries = 1; ; tries++) {
      const folder = tempFolder('baresip');
      const ports = await freePorts(3);
      const sipPort = ports[0] as number;
      // It also takes the port above its SIP port, for TLS.
      const controlPort = ports.slice(1).find((port) => port !== sipPort + 1) as number;
      writeConfig(folder, sipPort, controlPort, options);
      const child = new Child(program, ['-4', '-v', '-f', folder], { cwd: folder, name: 'baresip' });
      try {
        await child.line(/baresip is ready/, DEADLINE_MS);
        const control = await controlOf(controlPort);
        return new Baresip(child, control, folder, { address: LOOPBACK, port: sipPort });
      } catch (thrown) {
        await child.kill();
        removeFolder(folder);
        // Between our look and its bind somebody else may have taken a port.
        if (tries === START_TRIES) throw thrown;
      }
    }
  }

  /** A command of its menu, e.g. `command('callstat')`; resolves with what it prints. @throws Error when it is refused */
  async command(command: string, params = ''): Promise<string> {
    this.#commands += 1;
    const token = String(this.#commands);
    const text = JSON.stringify({ command, params, token });
    this.#control.write(`${Buffer.byteLength(text)}:${text},`);
    const answer = await this.#answers.find((each) => each.token === token, DEADLINE_MS, `baresip's answer to ${command}`);
    if (!answer.ok) throw new Error(`baresip refused ${command}: ${answer.data}`);
    return answer.data;
  }

  /** Dials without waiting for what becomes of it. */
  async dial(to: Endpoint | string): Promise<void> {
    await this.command('dial', typeof to === 'string' ? to : `sip:agent@${endpointText(to)}`);
  }

  /** Answers the call that rings. */
  async answer(): Promise<void> {
    await this.event('CALL_INCOMING');
    await this.command('accept');
  }

  event(type: string, deadlineMs = DEADLINE_MS): Promise<BaresipEvent> {
    return this.events.find((each) => each.type === type, deadlineMs, `${type} from baresip`);
  }

  /** Waits until the call is up. */
  established(deadlineMs = DEADLINE_MS): Promise<BaresipEvent> {
    return this.event('CALL_ESTABLISHED', deadlineMs);
  }

  /** Waits until the call is over; `param` of the event says why. */
  closed(deadlineMs = DEADLINE_MS): Promise<BaresipEvent> {
    return this.event('CALL_CLOSED', deadlineMs);
  }

  /** Presses a key (RFC 4733). */
  async press(digit: string): Promise<void> {
    await this.command('sndcode', digit);
  }

  async hangup(): Promise<void> {
    await this.command('hangup');
  }

  /** What it has heard in its last call: packets back to back, so that a time without packets leaves no hole. */
  async heard(): Promise<Int16Array> {
    return this.#dump('dec');
  }

  /** What it has said in its last call. */
  async said(): Promise<Int16Array> {
    return this.#dump('enc');
  }

  /** What it wrote, for a failing test. */
  log(): string {
    return this.#child.lastWords(60);
  }

  async stop(): Promise<void> {
    this.#control.destroy();
    await this.#child.stop();
    removeFolder(this.#folder);
  }

  async #dump(direction: 'enc' | 'dec'): Promise<Int16Array> {
    const file = await eventually(
      () =>
        readdirSync(this.#folder)
          .filter((name) => name.endsWith(`-${direction}.wav`))
          .sort()
          .at(-1),
      DEADLINE_MS,
      "baresip's recording",
    );
    return readWav(join(this.#folder, file)).samples;
  }

  #handle(message: BaresipEvent | BaresipAnswer): void {
    if ('response' in message) this.#answers.push(message as BaresipAnswer);
    else this.events.push(message as BaresipEvent);
  }
}

/** Netstrings (`5:hello,`), as ctrl_tcp frames its messages; what is not complete yet is the rest. */
export function splitNetstrings(bytes: Buffer): { readonly messages: string[]; readonly rest: Buffer } {
  const messages: string[] = [];
  let at = 0;
  for (;;) {
    const colon = bytes.indexOf(':', at);
    const length = colon < 0 ? Number.NaN : Number(bytes.toString('latin1', at, colon));
    if (!(colon + 1 + length < bytes.length)) return { messages, rest: bytes.subarray(at) };
    messages.push(bytes.toString('utf8', colon + 1, colon + 1 + length));
    at = colon + 1 + length + 1;
  }
}

function writeConfig(folder: string, sipPort: number, controlPort: number, options: BaresipOptions): void {
  const { user = 'baresip', microphone = new Int16Array(), silenceMs = 60_000, codecs = ['PCMU', 'PCMA'], answer = 'manual' } = options;
  const { rateHz = 8000, login, registrar } = options;
  const file = join(folder, 'microphone.wav');
  writeWav(file, concat(microphone, silence(silenceMs, rateHz)), rateHz);
  const settings = [
    ['sip_listen', `${LOOPBACK}:${sipPort}`],
    ['net_interface', LOOPBACK],
    ['audio_source', `aufile,${file}`],
    // A bridge to nowhere: baresip wants a player before it decodes anything.
    ['audio_player', 'aubridge,nowhere'],
    ['audio_alert', 'aubridge,alert'],
    ['ausrc_srate', `${rateHz}`],
    ['auplay_srate', `${rateHz}`],
    ['ausrc_channels', '1'],
    ['auplay_channels', '1'],
    ['snd_path', folder],
    ['module_path', moduleFolder()],
    ...['g711', 'g722', 'opus', 'l16', 'srtp', 'dtls_srtp', 'ice', 'aufile', 'aubridge', 'sndfile'].map((name) => ['module', `${name}.so`]),
    ...['uuid', 'account'].map((name) => ['module_tmp', `${name}.so`]),
    ...['menu', 'ctrl_tcp'].map((name) => ['module_app', `${name}.so`]),
    ['ctrl_tcp_listen', `${LOOPBACK}:${controlPort}`],
    ['rtcp_mux', options.rtcpMux ? 'yes' : 'no'],
    ['opus_inbandfec', 'yes'],
    ...(options.caFile === undefined
      ? []
      : [['sip_transports', 'udp,tcp,tls'] as const, ['sip_cafile', options.caFile] as const, ['sip_verify_server', 'yes'] as const]),
  ];
  writeFileSync(join(folder, 'config'), settings.map(([name, value]) => `${name}\t${value}\n`).join(''));
  const account = [
    `<sip:${user}@${registrar ? endpointText(registrar) : `${LOOPBACK}:${sipPort}`};transport=${options.caFile === undefined ? 'udp' : 'tls'}>`,
    ...(registrar ? [`regint=600`, `outbound="sip:${endpointText(registrar)}"`] : ['regint=0']),
    `answermode=${answer}`,
    ...(login ? [`auth_user=${login.username}`, `auth_pass=${login.password}`] : []),
    ...(options.encryption ? [`mediaenc=${options.encryption}`] : []),
    ...(options.ice ? ['medianat=ice'] : []),
    `audio_codecs=${codecs.map((codec) => CODECS[codec]).join(',')}`,
  ];
  writeFileSync(join(folder, 'accounts'), `${account.join(';')}\n`);
  writeFileSync(join(folder, 'contacts'), '');
}
