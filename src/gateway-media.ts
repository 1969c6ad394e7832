import { NetworkPool } from './audio/network-pool.ts';
import type { Endpoint } from './base/addresses.ts';
import type { Clock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import type { Logger } from './base/log.ts';
import type { Loopback } from './base/loopback.ts';
import type { Metrics } from './base/metrics.ts';
import type { Ticker } from './base/ticker.ts';
import { InnerLeg } from './bridge/inner-leg.ts';
import type { InnerVoice } from './bridge/inner-voice.ts';
import { LocalMediaHost } from './bridge/local-media.ts';
import type { Config, RtpPorts } from './config/config.ts';
import { ModelMaker } from './gateway-model.ts';
import { createTools } from './gateway-tools.ts';
import type { LegDialler, LegHost } from './leg/leg.ts';
import { type ClusterKeys, deriveNodeKeys } from './ownership/cluster-keys.ts';
import type { NodeId } from './ownership/node-id.ts';
import type { RelayLink } from './ownership/relay-link.ts';
import { loadVoiceDetectors } from './realtime/fvad-detector.ts';
import { LiveModel } from './realtime/live-model.ts';
import { McpCatalogue } from './realtime/mcp/mcp-catalogue.ts';
import type { McpHub } from './realtime/mcp/mcp-hub.ts';
import { createSessionMetrics } from './realtime/session-metrics.ts';
import { RtpPortPool } from './rtp/ports.ts';
import { Transceiver } from './transceiver/transceiver.ts';
import { createIdentity } from './webrtc/dtls/identity.ts';

/* What carries calls, alike in the one process and in each worker. */

export interface MediaParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface TransceiverParts extends MediaParts {
  readonly ticker: Ticker;
  readonly keys: ClusterKeys;
  readonly link: RelayLink;
  /** Who calls somebody for a session. */
  readonly dialler: LegDialler;
  readonly agent: Config['agent'];
  readonly model: Config['model'];
  readonly mcp: McpHub;
  readonly tools: Config['tools'];
  readonly sessionMinutes: number;
}

/**
 * Makes another model, and gives what puts it into force for the conversations that come.
 * @throws GatewayError ERR_CONFIG
 */
export type ModelSwitch = (model: Config['model'], agent: Config['agent']) => Promise<() => void>;

export interface TransceiverHandle {
  readonly transceiver: Transceiver;
  readonly prepareModel: ModelSwitch;
}

export async function createTransceiver(
  { agent, model: configured, mcp, tools, sessionMinutes, ...parts }: TransceiverParts,
  options: { readonly nodeId: NodeId; readonly maxSessions: number },
): Promise<TransceiverHandle> {
  const networks = new NetworkPool({
    isLate: () => transceiver.overloaded,
    onFailed: (err) => parts.log.warn({ err: GatewayError.from(err) }, 'no detector for callers in noise'),
  });
  parts.metrics.observe('noise_detectors', 'Calls with so much noise that the second voice detector hears them.', () => networks.inUse);
  const createVoiceDetector = await loadVoiceDetectors(networks);
  const maker = new ModelMaker(parts);
  const model = new LiveModel(await maker.make(configured, agent));
  const transceiver = new Transceiver(
    {
      ...parts,
      identity: createIdentity(parts.clock.wallclock()),
      keys: deriveNodeKeys(parts.keys),
      model,
      maxDurationMs: sessionMinutes * 60_000,
      ...(await createTools({ clock: parts.clock, log: parts.log }, tools, [new McpCatalogue(mcp)])),
      createVoiceDetector,
      sessionMetrics: createSessionMetrics(parts.metrics),
    },
    options,
  );
  const prepareModel: ModelSwitch = async (next, by) => {
    const made = await maker.make(next, by);
    return () => model.replace(made);
  };
  return { transceiver, prepareModel };
}

export interface PhoneLegParts extends MediaParts {
  readonly host: Pick<LegHost, 'open'>;
  readonly ownerAnswers: (sessionId: string) => boolean;
  /** The short way to a relay in this process. */
  readonly loopback: Loopback;
  /** That relay, where an owner's answer does not name it. */
  readonly nearRelay?: Endpoint;
}

export function createLocalMedia(
  { clock, log, metrics, host, ownerAnswers, loopback, nearRelay }: PhoneLegParts,
  options: { readonly bind: string; readonly rtpPorts: RtpPorts; readonly mediaTimeoutMs: number },
): LocalMediaHost {
  const { bind, rtpPorts, mediaTimeoutMs } = options;
  const ports = new RtpPortPool(clock, { address: bind, ...(rtpPorts === 'any' ? {} : { range: rtpPorts }) });
  metrics.observe('rtp_port_pairs', 'Pairs of RTP ports in use.', () => ports.inUse);
  const identity = createIdentity(clock.wallclock());
  const inner = { clock, log, identity, bind, loopback, ...(nearRelay && { nearRelay }) };
  const openInner = (voice: InnerVoice): Promise<InnerLeg> => InnerLeg.create(inner, voice);
  return new LocalMediaHost({ clock, ports, identity, openInner, host, ownerAnswers }, { mediaTimeoutMs });
}
