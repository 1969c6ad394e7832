import type { Endpoint } from './endpoint.ts';
import { GatewayProcess, startRolesApart } from './gateway-process.ts';

/** Relay and transceiver in processes of their own; the one that speaks SIP serves programs and browsers, too. */
export async function startFrontApart(flags: readonly string[]): Promise<{
  readonly sip: Endpoint;
  readonly http: Endpoint;
  cdrs(): readonly Readonly<Record<string, unknown>>[];
  /** One more process with phones, under this node id. */
  another(nodeId: number): Promise<GatewayProcess>;
  stop(): Promise<void>;
}> {
  const roles = await startRolesApart({ flags: [...flags] });
  await roles.sip.stop();
  const front = await GatewayProcess.start({
    flags: roles.flags.sip.map((flag) => (flag === 'sip' ? 'sip,control' : flag)),
    name: 'ringdown sip,control',
  });
  const others: GatewayProcess[] = [];
  const another = async (nodeId: number): Promise<GatewayProcess> => {
    const own = roles.flags.sip.indexOf('--node-id') + 1;
    const started = await GatewayProcess.start({ flags: roles.flags.sip.with(own, String(nodeId)), name: `ringdown sip, node ${nodeId}` });
    others.push(started);
    return started;
  };
  const stop = async (): Promise<void> => {
    await Promise.all([front, ...others].map((each) => each.stop()));
    await roles.stop();
  };
  return { sip: front.sip, http: front.http, cdrs: () => front.cdrs(), another, stop };
}
