import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import { type Endpoint, endpointText, LOOPBACK } from './endpoint.ts';
import { requiredPeer } from './peers.ts';
import { removeFolder, tempFolder } from './temp-folder.ts';
import { eventually } from './wait.ts';

/** Where a request from outside a dialog goes, by the user part of its Request-URI. */
export interface KamailioTarget extends Endpoint {
  readonly transport?: 'udp' | 'tcp' | 'tls';
}

/** It speaks TLS too, shows this certificate both ways and lets in nobody whose own is not of this authority. All PEM files. */
interface KamailioTls {
  /** Free a moment ago. */
  readonly port: number;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

export interface KamailioOptions {
  /** Of UDP and TCP, free a moment ago. */
  readonly port: number;
  readonly targets: Readonly<Record<string, KamailioTarget>>;
  /** It registers whoever shows this password, and sends calls for them there. */
  readonly password?: string;
  readonly tls?: KamailioTls;
}

/** A request that was let through, as it came in. */
export interface Relayed {
  readonly method: string;
  readonly transport: string;
  readonly from: Endpoint;
  readonly how: 'target' | 'route' | 'transaction';
}

const DEADLINE_MS = 10_000;

/** A real Kamailio in front: record-routes, relays with state and follows nothing but Route headers inside dialogs. */
export class Kamailio {
  readonly #child: Child;
  readonly #folder: string;
  readonly local: Endpoint;

  private constructor(child: Child, folder: string, local: Endpoint) {
    this.#child = child;
    this.#folder = folder;
    this.local = local;
  }

  static async start(options: KamailioOptions): Promise<Kamailio> {
    const { port, tls } = options;
    const program = requiredPeer('kamailio');
    const folder = tempFolder('kamailio');
    const runFolder = join(folder, 'run');
    mkdirSync(runFolder);
    const file = join(folder, 'kamailio.cfg');
    if (tls) writeFileSync(join(folder, 'tls.cfg'), certificates(tls));
    writeFileSync(file, configuration(options, folder));
    const child = new Child(program, ['-f', file, '-DD', '-E', '-m', '16', '-M', '4', '-w', folder, '-Y', runFolder], {
      name: 'kamailio',
      family: true,
    });
    const kamailio = new Kamailio(child, folder, { address: LOOPBACK, port });
    await child.line(/listening/, DEADLINE_MS);
    return kamailio;
  }

  /** What it let through, in order. */
  get relayed(): Relayed[] {
    return this.#child.stderr.all.flatMap((line) => {
      const [, method = '', transport = '', address = '', port = '', how = ''] = /RELAYED (\S+) (\S+) (\S+) (\d+) (\S+)/.exec(line) ?? [];
      return method === '' ? [] : [{ method, transport, from: { address, port: Number(port) }, how: how as Relayed['how'] }];
    });
  }

  /** Requests of ours or of others that it found no way for. */
  get refused(): string[] {
    return this.#child.stderr.all.flatMap((line) => /REFUSED (.*)$/.exec(line)?.[1] ?? []);
  }

  /** Waits until it has let `count` of these through. */
  async reached(method: string, count: number, deadlineMs = 3000): Promise<void> {
    const seen = (): boolean => this.relayed.filter((each) => each.method === method).length >= count;
    await eventually(seen, deadlineMs, `${count} ${method} through kamailio`);
  }

  async stop(): Promise<void> {
    await this.#child.stop();
    removeFolder(this.#folder);
  }
}

/** A registrar of its own: who shows the password is bound, and called where it said. */
function registering(password: string): string {
  return `  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("$td", "${password}", "0")) {
      www_challenge("$td", "1");
      exit;
    }
    if (!save("location")) sl_reply_error();
    xlog("L_ALERT", "RELAYED $rm $proto $si $sp target\\n");
    exit;
  }
  if (is_method("INVITE") && lookup("location")) {
    record_route();
    xlog("L_ALERT", "RELAYED $rm $proto $si $sp target\\n");
    t_relay();
    exit;
  }
`;
}

/** Of connections in both directions. */
function certificates({ certificateFile, keyFile, caFile }: KamailioTls): string {
  const settings = `method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
private_key = ${keyFile}
certificate = ${certificateFile}
ca_list = ${caFile}
`;
  return `[server:default]\n${settings}[client:default]\n${settings}`;
}

/** Loopback only, no resolver, no control socket. */
function configuration({ port, targets, password, tls }: KamailioOptions, folder: string): string {
  const routes = Object.entries(targets).map(
    ([user, target]) => `  if ($rU == "${user}") $du = "sip:${endpointText(target)};transport=${target.transport ?? 'udp'}";\n`,
  );
  return `#!KAMAILIO
debug=1
log_stderror=yes
# One process for datagrams: two overtake each other on a busy machine, and a 180 comes after its 200.
children=1
tcp_children=2
listen=udp:${LOOPBACK}:${port}
listen=tcp:${LOOPBACK}:${port}
${tls ? `enable_tls=yes\nlisten=tls:${LOOPBACK}:${tls.port}\n` : ''}auto_aliases=no
dns=no
rev_dns=no
${(password === undefined ? [] : ['auth', 'usrloc', 'registrar']).map((name) => `loadmodule "${name}.so"\n`).join('')}${['tm', 'rr', 'sl', 'pv', 'maxfwd', 'textops', 'siputils', 'xlog'].map((name) => `loadmodule "${name}.so"\n`).join('')}
${tls ? `loadmodule "tls.so"\nmodparam("tls", "config", "${join(folder, 'tls.cfg')}")\n` : ''}
event_route[core:worker-one-init] {
  xlog("L_ALERT", "listening\\n");
}

request_route {
  if (!mf_process_maxfwd_header("10")) {
    sl_send_reply("483", "Too Many Hops");
    exit;
  }
  if (is_method("CANCEL")) {
    if (t_check_trans()) route(RELAY_TRANSACTION);
    exit;
  }
  if (has_totag()) {
    if (loose_route()) {
      xlog("L_ALERT", "RELAYED $rm $proto $si $sp route\\n");
      if (!t_relay()) sl_reply_error();
      exit;
    }
    if (is_method("ACK")) {
      if (t_check_trans()) route(RELAY_TRANSACTION);
      exit;
    }
    xlog("L_ALERT", "REFUSED $rm $ru from $si:$sp\\n");
    sl_send_reply("403", "No Route");
    exit;
  }
  t_check_trans();
${password === undefined ? '' : registering(password)}  remove_hf("Route");
  if (is_method("INVITE")) record_route();
${routes.join('')}  if ($du == $null) {
    xlog("L_ALERT", "REFUSED $rm $ru from $si:$sp\\n");
    sl_send_reply("404", "Not Found");
    exit;
  }
  xlog("L_ALERT", "RELAYED $rm $proto $si $sp target\\n");
  if (!t_relay()) sl_reply_error();
}

route[RELAY_TRANSACTION] {
  xlog("L_ALERT", "RELAYED $rm $proto $si $sp transaction\\n");
  t_relay();
  exit;
}
`;
}
