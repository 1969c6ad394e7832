import { CertificateFiles, type CertificateFilesDeps } from './base/certificate-files.ts';
import type { Config } from './config/config.ts';
import type { EngineTls } from './sip/embedded/engine-doors.ts';
import { TrunkCertificates } from './sip/trunk-certificates.ts';

/** The certificates of SIP over TLS: the door's and those towards trunks. */
export interface SipCertificates {
  readonly tls: EngineTls;
  readonly trunks: TrunkCertificates;
  stop(): void;
}

/** @throws GatewayError ERR_CONFIG naming a file that cannot be used */
export async function openSipCertificates(deps: CertificateFilesDeps, { sip, trunks }: Config): Promise<SipCertificates> {
  const outbound = new TrunkCertificates(deps);
  await outbound.use(trunks);
  const contextOf: EngineTls['contextOf'] = (profile) => outbound.contextOf(profile);
  if (!sip.tls) return { tls: { contextOf }, trunks: outbound, stop: () => outbound.stop() };
  const { certificateFile, keyFile, clientsFile, port } = sip.tls;
  const paths = { certificateFile, keyFile, ...(clientsFile === undefined ? {} : { caFile: clientsFile }) };
  const certificate = new CertificateFiles(deps, 'sip', paths);
  const stop = (): void => {
    outbound.stop();
    certificate.stop();
  };
  await certificate.start().catch((thrown: unknown) => {
    stop();
    throw thrown;
  });
  return { tls: { contextOf, server: { certificate, clients: clientsFile !== undefined, port } }, trunks: outbound, stop };
}
