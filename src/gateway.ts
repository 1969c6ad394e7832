import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { liveOpusCodecs } from './audio/opus.ts';
import { warmUpOpus } from './audio/opus-warm-up.ts';
import { formatEndpoint, type TransportAddress } from './base/addresses.ts';
import { CertificateMetrics } from './base/certificate-files.ts';
import { type Clock, systemClock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import { announcedAddress } from './base/local-address.ts';
import { createLog, type Logger } from './base/log.ts';
import { Loopback } from './base/loopback.ts';
import { Metrics } from './base/metrics.ts';
import { WorkerTicker } from './base/ticker.ts';
import type { MediaHost } from './bridge/call-media.ts';
import { Switchboard } from './bridge/switchboard.ts';
import type { Config } from './config/config.ts';
import type { Role } from './config/schema.ts';
import { Alerts } from './control/alerts.ts';
import { CallDesk } from './control/call-desk.ts';
import { CdrLog } from './control/cdr-log.ts';
import { Certificates } from './control/certificates.ts';
import type { ReloadOutcome, TrunkStatus } from './control/gateway-control.ts';
import { type ApiOptions, HttpDoor } from './control/http-door.ts';
import { postWebhook } from './control/webhook-delivery.ts';
import { WhyBook } from './control/why-book.ts';
import { openSipCertificates, type SipCertificates } from './gateway-certificates.ts';
import { connectCaller } from './gateway-connect.ts';
import { hostWithDesk, withDesk } from './gateway-desk.ts';
import { DrachtioFront } from './gateway-drachtio.ts';
import { type Inside, joinCluster, type Membership, openInside } from './gateway-inside.ts';
import { createMcpHub } from './gateway-mcp.ts';
import { createLocalMedia, createTransceiver, type ModelSwitch } from './gateway-media.ts';
import { findNames } from './gateway-names.ts';
import { phoneMediaPolicy } from './gateway-phone-media.ts';
import { recordOf, shownBan, whyOf } from './gateway-records.ts';
import { type ConfigSource, changeOf, keptSettings, refusedReload } from './gateway-reload.ts';
import { arrivingCall, createRoutes } from './gateway-routes.ts';
import { readStir, StirDesk } from './gateway-stir.ts';
import { createWorkerPool } from './gateway-workers.ts';
import type { DialRequest, LegDialler, LegHost } from './leg/leg.ts';
import type { SessionHost } from './leg/session-host.ts';
import { ClusterHost } from './ownership/cluster-host.ts';
import { deriveDoorKeys, deriveRelayKeys } from './ownership/cluster-keys.ts';
import { DoorLegHost } from './ownership/door-leg-host.ts';
import { MemoryDirectory } from './ownership/memory-directory.ts';
import { NodeDoor } from './ownership/node-door.ts';
import type { NodeStatus } from './ownership/placement.ts';
import { sessionNode } from './ownership/session-id.ts';
import { publicCandidates, publicEndpoints } from './relay/public-endpoints.ts';
import { Relay } from './relay/relay.ts';
import { openRelayPorts } from './relay/relay-ports.ts';
import { BindingJournal } from './sip/binding-journal.ts';
import { EmbeddedEngine } from './sip/embedded/embedded-engine.ts';
import { SipIdentity } from './sip/sip-identity.ts';
import { TrunkBook } from './sip/trunk-book.ts';
import { TrunkJournal } from './sip/trunk-journal.ts';
import { UserBook } from './sip/user.ts';
import { Transceiver } from './transceiver/transceiver.ts';
import type { WorkerPool } from './workers/worker-pool.ts';

/** What listens where, for people. */
export interface Door {
  readonly name: string;
  readonly detail: string;
}

/** The running gateway. */
export interface Gateway {
  readonly doors: readonly Door[];
  readonly ready: boolean;
  /** Refuses new calls; resolves when none are left. */
  drain(): Promise<void>;
  /** BYE to all calls; takes 2 s at the most. */
  hangUpAll(): Promise<void>;
  stop(): Promise<void>;
  /** Reads the configuration again, and puts what may change into force. Never throws. */
  reload(): Promise<ReloadOutcome>;
}

/** How often a draining relay looks whether its last client has left. */
const RELAY_LOOK_MS = 500;

/**
 * Starts what the roles of this process need, innermost first, so that nobody is let in before there is somewhere to go.
 * @throws GatewayError ERR_PORT_IN_USE, ERR_CONFIG; what was started by then is stopped again
 */
export async function startGateway(config: Config, source?: ConfigSource): Promise<Gateway> {
  const gateway = new RunningGateway(config, source);
  try {
    await gateway.start();
  } catch (thrown) {
    await gateway.stop();
    throw thrown;
  }
  return gateway;
}

/** What of the phones' side can be configured while it runs. */
interface Phones {
  readonly trunks: TrunkBook;
  readonly users: UserBook;
  readonly engine: EmbeddedEngine;
  readonly certificates: SipCertificates;
  readonly stir: StirDesk;
}

class RunningGateway implements Gateway {
  readonly doors: Door[] = [];
  #config: Config;
  #source: ConfigSource | undefined;
  #reloading: Promise<unknown> = Promise.resolve();
  #phones: Phones | undefined;
  #door: HttpDoor | undefined;
  #prepareModel: ModelSwitch | undefined;
  readonly #clock: Clock = systemClock;
  readonly #log: Logger;
  readonly #metrics = new Metrics();
  readonly #ticker: WorkerTicker;
  readonly #loopback = new Loopback();
  /** What stops each part that was started; run in reverse order. */
  readonly #stops: (() => void | Promise<void>)[] = [];
  #membership: Membership | undefined;
  #relay: Relay | undefined;
  #transceiver: Transceiver | undefined;
  #nodeDoor: NodeDoor | undefined;
  #remote: DoorLegHost | undefined;
  #pool: WorkerPool | undefined;
  #switchboard: Switchboard | undefined;
  readonly #desk: CallDesk;
  readonly #alerts: Alerts;
  #engine: EmbeddedEngine | undefined;
  readonly #drachtio: DrachtioFront | undefined;
  readonly #why = new WhyBook();
  readonly #certificateMetrics = new CertificateMetrics(this.#metrics);
  #started = false;
  #draining = false;

  constructor(config: Config, source?: ConfigSource) {
    this.#config = config;
    this.#source = source;
    this.#log = createLog(config.logLevel, process.stderr);
    this.#drachtio = config.drachtio && new DrachtioFront({ clock: this.#clock, log: this.#log }, config.drachtio);
    this.#ticker = new WorkerTicker(this.#clock);
    this.#stops.push(() => this.#ticker.stop());
    const routes = createRoutes(config);
    const parts = { clock: this.#clock, log: this.#log, metrics: this.#metrics, routes, post: postWebhook };
    this.#alerts = new Alerts(parts, config.alerts);
    this.#desk = new CallDesk({
      ...parts,
      dial: (request) => this.#place(request),
      connect: (sessionId, project, wanted) =>
        connectCaller({ clock: this.#clock, log: this.#log, host: () => this.#sessionHost() }, sessionId, project, wanted),
    });
  }

  get ready(): boolean {
    return this.#readiness().ready;
  }

  async start(): Promise<void> {
    this.#membership = joinCluster(this.#config);
    await this.#startHttp();
    if (this.#config.workers > 0) this.#membership = await this.#startWorkers(this.#membership);
    else if (this.#has('sip') || this.#has('transceiver')) {
      await Promise.all([warmUpOpus(), this.#has('transceiver') ? Transceiver.warmUp() : undefined]);
      this.#metrics.observe('opus_codecs', 'Opus encoders and decoders in use.', liveOpusCodecs);
    }
    const inside = this.#has('relay') ? await this.#startRelay(this.#membership) : undefined;
    if (this.#pool) await this.#pool.allReady();
    else if (this.#has('transceiver')) await this.#startTransceiver(this.#membership, inside);
    if (this.#has('sip')) await this.#startPhones(this.#membership);
    // Programs that come here may speak to the sessions of other nodes.
    if (this.#has('control') && this.#config.node && !this.#remote) this.#dialNodes(this.#membership);
    this.#started = true;
    this.#log.info({ roles: this.#config.roles, doors: this.doors }, 'started');
  }

  async drain(): Promise<void> {
    this.#draining = true;
    this.#nodeDoor?.statusChanged();
    this.#remote?.statusChanged();
    await Promise.all([this.#switchboard?.drain(), this.#transceiver?.drain(), this.#pool?.drain()]);
    if (this.#relay && !this.#transceiver && !this.#pool) await this.#lastClientLeft(this.#relay);
  }

  async hangUpAll(): Promise<void> {
    this.#draining = true;
    this.#nodeDoor?.statusChanged();
    await this.#switchboard?.hangUpAll('shutdown');
    this.#transceiver?.hangUpAll('shutdown');
  }

  async stop(): Promise<void> {
    this.#draining = true;
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  /** One at a time: the second looks at what the first has left. */
  reload(): Promise<ReloadOutcome> {
    const outcome = this.#reloading.then(() => this.#reload());
    this.#reloading = outcome;
    return outcome;
  }

  async #reload(): Promise<ReloadOutcome> {
    const source = this.#source;
    try {
      if (!source || !this.#started || this.#draining) throw new GatewayError('ERR_INVALID_STATE', 'the gateway does not run, or drains');
      const loaded = source.load();
      const { config, applied, needsRestart } = changeOf(this.#config, source.settings, loaded);
      const routes = createRoutes(config);
      const applyModel = await this.#prepareModel?.(config.model, config.agent);
      await this.#phones?.certificates.trunks.use(config.trunks);
      const stir = await readStir(config);
      // From here on nothing fails, and nothing waits.
      this.#config = config;
      // What needs a restart stays what it was, so that it is named again the next time.
      this.#source = { ...source, settings: keptSettings(source.settings, loaded.settings, needsRestart) };
      applyModel?.();
      this.#pool?.configure(config);
      this.#desk.setRoutes(routes);
      this.#alerts.configure(config.alerts);
      this.#door?.setProjects(config.projects);
      this.#switchboard?.configure(config.agent);
      this.#log.level = config.logLevel;
      this.#phones?.trunks.replace(config.trunks, config.callers);
      this.#phones?.users.replace(config.users);
      this.#phones?.stir.configure(stir);
      this.#phones?.engine.configurationChanged();
      this.#log.info({ applied, needsRestart }, 'configuration reloaded');
      return { type: 'applied', applied, needsRestart };
    } catch (thrown) {
      const refused = refusedReload(thrown);
      this.#log.error({ faults: refused.type === 'refused' ? refused.faults : [] }, 'configuration refused: the old one stays');
      return refused;
    }
  }

  #trunkStatus(): readonly TrunkStatus[] | undefined {
    const phones = this.#phones;
    return phones?.trunks.snapshot().map((trunk) => {
      const registration = phones.engine.registrationOf(trunk.name);
      return { ...trunk, ...(registration && { registration }) };
    });
  }

  #has(role: Role): boolean {
    return this.#config.roles.includes(role);
  }

  async #startHttp(): Promise<void> {
    const { bind, http } = this.#config;
    const deps = { clock: this.#clock, log: this.#log, metrics: this.#metrics, readiness: () => this.#readiness() };
    const api = this.#has('control') ? this.#api() : undefined;
    const door = new HttpDoor(deps, { bind, port: http.port, ...(api ? { api } : {}) });
    this.#door = door;
    this.#stops.push(() => door.stop());
    const at = await door.start();
    const serves = `${api ? '/v1/realtime, ' : ''}${api?.sip && this.#has('sip') && api.sip.who !== 'off' ? '/sip, ' : ''}/healthz /readyz /metrics`;
    this.doors.push({ name: 'http', detail: `http://${formatEndpoint(at)} (${serves})` });
    if (!api?.certificates) return;
    const ca = api.certificates.caFile;
    this.doors.push({ name: 'https', detail: `https://${formatEndpoint(at)}${ca === undefined ? '' : ` (authority: ${ca})`}` });
  }

  /** What programs and pages are served. */
  #api(): ApiOptions {
    const { dataDir, projects, tls, sip } = this.#config;
    const deps = { clock: this.#clock, log: this.#log, metrics: this.#certificateMetrics };
    const options = { folder: join(dataDir, 'certificates'), names: this.#names(), ...(tls ? { configured: tls } : {}) };
    const certificates = new Certificates(deps, options);
    return {
      projects,
      certificates,
      dialler: this.#desk,
      control: {
        reload: () => this.reload(),
        trunks: () => this.#trunkStatus(),
        why: (id) => this.#switchboard && (this.#switchboard.whyOf(id) ?? this.#why.find(id) ?? 'unknown'),
        users: () => this.#phones?.engine.registrar?.snapshot() ?? (this.#phones && []),
        bans: () => this.#phones?.engine.bans.list(this.#clock.now()).map((ban) => shownBan(ban, this.#clock)),
        liftBan: (address) => this.#phones?.engine.bans.lift(address, this.#clock.now()),
      },
      host: () => this.#sessionHost(),
      ...(this.#drachtio ? { drachtio: this.#drachtio.route } : {}),
      sip: {
        who: sip.sockets,
        origins: sip.origins,
        accept: () => (this.#drachtio ? undefined : this.#engine && ((socket) => this.#engine?.accept(socket))),
      },
      pages: fileURLToPath(new URL('../dist/web', import.meta.url)),
    };
  }

  /** What clients may call this machine by. */
  #names(): string[] {
    const { publicAddress, bind } = this.#config;
    const own = [hostname(), publicAddress, bind === '0.0.0.0' || bind === '::' ? undefined : bind];
    const fitting = own.filter((name): name is string => name !== undefined && /^[a-z0-9.:-]{1,253}$/i.test(name));
    return [...new Set(['localhost', '127.0.0.1', '::1', ...fitting])];
  }

  /** The owner of sessions that programs speak to: in this process, in its workers, or behind the node door. */
  #sessionHost(): SessionHost | undefined {
    const own = this.#transceiver;
    const others = this.#remote;
    if (own && others && this.#membership) return new ClusterHost({ own, others, nodeId: this.#membership.self.nodeId });
    return own ?? this.#pool?.sessions ?? others;
  }

  /** @returns the wire behind the relay, for a transceiver in the same process */
  async #startRelay(membership: Membership): Promise<Inside> {
    const { bind, publicAddress } = this.#config;
    const opened = await openRelayPorts({ address: bind, port: this.#config.relay.port });
    const ports = { ...opened, socket: this.#loopback.join(opened.socket) };
    const { local } = ports.socket;
    const candidates = publicCandidates(publicEndpoints(local, publicAddress));
    const inside = await this.#openInside(membership, candidates).catch((thrown: unknown) => {
      ports.socket.close();
      ports.listener.close();
      throw thrown;
    });
    if (!inside.transceiverLink) throw new GatewayError('ERR_INTERNAL', 'a relay without its link');
    const keys = deriveRelayKeys(membership.keys);
    const relay = new Relay({ ...ports, link: inside.transceiverLink, keys, clock: this.#clock, metrics: this.#metrics });
    this.#relay = relay;
    this.#stops.push(() => relay.close());
    this.doors.push({ name: 'relay', detail: `udp+tcp ${formatEndpoint(local)}` });
    return inside;
  }

  async #openInside(membership: Membership, candidates: readonly TransportAddress[] | undefined): Promise<Inside> {
    const inside = await openInside({ clock: this.#clock, metrics: this.#metrics, membership }, this.#config, candidates);
    this.#stops.push(() => inside.close());
    return inside;
  }

  /** Starts the processes that carry calls. @returns us among them: the relay finds them in the directory */
  async #startWorkers(alone: Membership): Promise<Membership> {
    const directory = new MemoryDirectory();
    const dialler = { dial: (request: DialRequest) => this.#dial(request) };
    const deps = { clock: this.#clock, log: this.#log, metrics: this.#metrics, directory, dialler };
    const pool = createWorkerPool(deps, this.#config, alone.keys);
    this.#pool = pool;
    this.#stops.push(() => pool.stop());
    await pool.start();
    return { ...alone, directory };
  }

  async #startTransceiver(membership: Membership, inside: Inside | undefined): Promise<void> {
    const { relayLink: link } = inside ?? (await this.#openInside(membership, undefined));
    if (!link) throw new GatewayError('ERR_INTERNAL', 'a transceiver without its link');
    this.#ticker.start();
    const mcp = await createMcpHub({ clock: this.#clock, log: this.#log, metrics: this.#metrics }, this.#config.mcp);
    this.#stops.push(() => mcp.close());
    const parts = {
      clock: this.#clock,
      log: this.#log,
      metrics: this.#metrics,
      ticker: this.#ticker,
      keys: membership.keys,
      link,
      dialler: { dial: (request: DialRequest) => this.#dial(request) },
      agent: this.#config.agent,
      model: this.#config.model,
      mcp,
      tools: this.#config.tools,
      sessionMinutes: this.#config.sessionMinutes,
    };
    const { transceiver, prepareModel } = await createTransceiver(parts, {
      nodeId: membership.self.nodeId,
      maxSessions: this.#config.maxCalls,
    });
    this.#transceiver = transceiver;
    this.#prepareModel = prepareModel;
    this.#stops.push(() => transceiver.close());
    if (this.#config.node) await this.#startNodeDoor(membership, transceiver, this.#config.node.innerPort);
  }

  /** Where bridges of other processes open their legs. Only transceivers have it: a relay could not even derive its key. */
  async #startNodeDoor(membership: Membership, host: LegHost, port: number): Promise<void> {
    const { bind } = this.#config;
    const deps = { keys: deriveDoorKeys(membership.keys), host, clock: this.#clock, log: this.#log, metrics: this.#metrics };
    const door = new NodeDoor(deps, { self: membership.self, status: () => this.#status() });
    this.#nodeDoor = door;
    this.#stops.push(() => door.close());
    const at = await door.listen({ address: bind, port });
    this.doors.push({ name: 'inner', detail: `udp+tcp ${formatEndpoint(at)}` });
  }

  async #startPhones(membership: Membership): Promise<void> {
    const { bind, sip, rtp, publicAddress, maxCalls } = this.#config;
    const clock = this.#clock;
    const log = this.#log;
    const metrics = this.#metrics;
    const records = new CdrLog({ clock, log, metrics }, { dataDir: this.#config.dataDir });
    await records.start();
    this.#stops.push(() => records.stop());
    const journal = await TrunkJournal.open(log, { dataDir: this.#config.dataDir });
    this.#stops.push(() => journal.stop());
    const trunks = new TrunkBook(clock, this.#config.trunks, journal, this.#config.callers);
    this.#stops.push(await findNames({ clock, log, metrics, trunks }, this.#config));
    const certificates = await openSipCertificates({ clock, log, metrics: this.#certificateMetrics }, this.#config);
    this.#stops.push(() => certificates.stop());
    const users = new UserBook(this.#config.users, sip.realm, sip.digest);
    const bindingJournal = await BindingJournal.open(clock, log, { dataDir: this.#config.dataDir });
    this.#stops.push(() => bindingJournal.stop());
    const identity = await SipIdentity.open(log, { dataDir: this.#config.dataDir });
    const stir = new StirDesk({ clock, metrics }, await readStir(this.#config));
    const drachtio = this.#drachtio;
    const engine = new EmbeddedEngine(
      {
        ...{
          clock,
          log,
          metrics,
          trunks,
          users,
          onAlert: (alert) => this.#alerts.raise(alert),
          bindingJournal,
          identity,
          tls: certificates.tls,
        },
        ...(drachtio ? { openDoors: (handlers) => drachtio.open(handlers) } : {}),
      },
      {
        bind,
        port: sip.port,
        requestsPerSecond: sip.requestsPerSecond,
        ...(sip.bans.seconds > 0 ? { bans: sip.bans } : {}),
        userAgent: 'Ringdown',
        // The server refreshes sessions.
        ...(drachtio ? { sessionIntervalS: 0 } : {}),
        ...(publicAddress ? { publicAddress } : {}),
      },
    );
    this.#switchboard = new Switchboard(
      {
        engine,
        trunks,
        clock,
        log,
        metrics,
        mediaAddress: (remote) => announcedAddress({ bind, publicAddress }, remote),
        mediaPolicy: (invite) => phoneMediaPolicy(this.#config, invite),
        media: withDesk(this.#pool ?? this.#localMedia(membership), this.#desk),
        users,
        identify: (call) => stir.identify(call),
        browserHost: () => {
          const host = this.#sessionHost();
          return host && hostWithDesk(host, this.#desk);
        },
        policy: (invite, { tried, facts, wanted }) =>
          this.#desk.policyFor(
            invite.sipCallId,
            arrivingCall(invite, clock.wallclock(), facts),
            tried,
            wanted && { ...wanted, to: { ...wanted.to, from: facts?.caller } },
          ),
        onReport: (report) => {
          this.#why.note(whyOf(report));
          records.write(recordOf(report));
        },
      },
      { maxCalls, ...this.#config.agent, transferTargets: this.#config.tools.transfer?.targets.map(({ uri }) => uri) ?? [] },
    );
    this.#phones = { trunks, users, engine, certificates, stir };
    const listeners = await engine.start();
    this.#engine = engine;
    this.#stops.push(() => engine.stop());
    if (drachtio) this.doors.push({ name: 'sip', detail: `drachtio: ${drachtio.detail}` });
    for (const listener of listeners) {
      const name = listener.transport === 'tls' ? 'sips' : 'sip';
      this.doors.push({ name, detail: `${listener.transport} ${formatEndpoint(listener)}` });
    }
    const span = rtp.ports === 'any' ? 'any free port' : `${rtp.ports.first}-${rtp.ports.last}`;
    this.doors.push({ name: 'rtp', detail: `udp ${isIPv6(bind) ? `[${bind}]` : bind}:${span}` });
  }

  #localMedia(membership: Membership): MediaHost {
    const { bind, rtp, mediaTimeoutS } = this.#config;
    return createLocalMedia(
      {
        clock: this.#clock,
        log: this.#log,
        metrics: this.#metrics,
        host: this.#transceiver ?? this.#dialNodes(membership),
        ownerAnswers: (sessionId) => this.#ownerAnswers(sessionId),
        loopback: this.#loopback,
      },
      { bind, rtpPorts: rtp.ports, mediaTimeoutMs: mediaTimeoutS * 1000 },
    );
  }

  #dialNodes(membership: Membership): LegHost {
    const deps = {
      keys: deriveDoorKeys(membership.keys),
      clock: this.#clock,
      log: this.#log,
      directory: membership.directory,
      metrics: this.#metrics,
      dialler: { dial: (request: DialRequest) => this.#dial(request) },
    };
    const remote = new DoorLegHost(deps, { self: membership.self, status: () => this.#status() });
    this.#remote = remote;
    this.#stops.push(() => remote.stop());
    return remote;
  }

  #ownerAnswers(sessionId: string): boolean {
    const owner = sessionNode(sessionId);
    return (
      !this.#remote ||
      owner === this.#membership?.self.nodeId ||
      this.#remote.nodes().some(({ nodeId, healthy }) => nodeId === owner && healthy)
    );
  }

  /** By the bridge of this process, or one that has come to our door. */
  async #dial(request: DialRequest): Promise<void> {
    const dialler: LegDialler | undefined = this.#switchboard ?? this.#nodeDoor;
    if (!dialler) throw new GatewayError('ERR_NODE_UNREACHABLE', 'there is no bridge');
    await dialler.dial(request);
  }

  /** For a program: only by the bridge of this process, which says what became of it. */
  async #place(request: DialRequest): Promise<string> {
    if (!this.#switchboard) throw new GatewayError('ERR_NODE_UNREACHABLE', 'this process places no calls');
    return this.#switchboard.place(request);
  }

  #status(): NodeStatus {
    const load = (this.#transceiver?.sessions ?? this.#switchboard?.calls ?? 0) / this.#config.maxCalls;
    return { roles: this.#config.roles, draining: this.#draining, load };
  }

  #readiness(): { ready: boolean; reason?: string } {
    if (this.#draining) return { ready: false, reason: 'draining' };
    if (!this.#started) return { ready: false, reason: 'starting' };
    if (this.#transceiver && !this.#transceiver.ready) return { ready: false, reason: 'no relay has been heard' };
    if (this.#pool && !this.#pool.ready) return { ready: false, reason: 'no worker takes calls' };
    if (this.#remote && !this.#transceiver && !this.#remote.ready) return { ready: false, reason: 'no transceiver takes calls' };
    return { ready: true };
  }

  #lastClientLeft(relay: Relay): Promise<void> {
    if (relay.flows === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (relay.flows === 0) resolve();
        else this.#clock.setTimer(RELAY_LOOK_MS, look);
      };
      look();
    });
  }
}
