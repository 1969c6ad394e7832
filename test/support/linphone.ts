import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import { type Endpoint, endpointText, freePort, LOOPBACK } from './endpoint.ts';
import { requiredPeer } from './peers.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { readWav, writeWav } from './wav.ts';

export interface LinphoneOptions {
  readonly user: string;
  readonly password: string;
  readonly registrar: Endpoint;
  /** What it says, over and over, from the moment the call is up; 8 kHz. */
  readonly microphone: Int16Array;
}

/** Linphone on the command line, without a sound card: it speaks from a file and records what it hears. */
export class Linphone {
  readonly #child: Child;
  readonly #folder: string;

  private constructor(child: Child, folder: string) {
    this.#child = child;
    this.#folder = folder;
  }

  static async start(options: LinphoneOptions): Promise<Linphone> {
    const folder = tempFolder('linphone');
    for (const path of ['.local/share/linphone', '.config/linphone']) mkdirSync(join(folder, path), { recursive: true });
    writeWav(join(folder, 'microphone.wav'), options.microphone);
    const lines = [
      '[sip]',
      ...[
        `sip_port=${await freePort()}`,
        'sip_tcp_port=0',
        'sip_tls_port=0',
        'guess_hostname=0',
        `contact=sip:${options.user}@${LOOPBACK}`,
      ],
      // It takes a machine that is not on the internet for one without a network.
      ...['register_only_when_network_is_up=0', '[sound]', '[rtp]', `audio_rtp_port=${await freePort()}`, '[video]', 'enabled=0', ''],
    ];
    writeFileSync(join(folder, 'linphonerc'), lines.join('\n'));
    const home = { HOME: folder, XDG_CONFIG_HOME: undefined, XDG_DATA_HOME: undefined };
    const child = new Child(requiredPeer('linphonec'), ['-c', join(folder, 'linphonerc')], { cwd: folder, env: home, typed: true });
    const phone = new Linphone(child, folder);
    child.type('soundcard use files');
    child.type(`record ${phone.#heard}`);
    child.type(
      `register sip:${options.user}@${endpointText(options.registrar)} sip:${endpointText(options.registrar)} ${options.password}`,
    );
    return phone;
  }

  get #heard(): string {
    return join(this.#folder, 'heard.wav');
  }

  /** Calls, and begins to speak when that is answered. */
  async dial(uri: string): Promise<void> {
    this.#child.type(`call ${uri}`);
    await this.#child.line(/Media streams established with/, 15_000);
    this.#child.type(`play ${join(this.#folder, 'microphone.wav')}`);
  }

  async hangup(): Promise<void> {
    this.#child.type('terminate');
    await this.#child.line(/Call \d+ with \S+ ended/, 10_000);
  }

  /** How much it has recorded so far. It writes the header of the file at the end. */
  get heardBytes(): number {
    return statSync(this.#heard, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Quits, and tells what it has heard. */
  async heard(): Promise<Int16Array> {
    this.#child.type('quit');
    await this.#child.end(10_000);
    return readWav(this.#heard).samples;
  }

  async stop(): Promise<void> {
    await this.#child.stop();
    removeFolder(this.#folder);
  }
}
