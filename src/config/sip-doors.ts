import type { Values } from './schema.ts';

/** The doors of SIP beside UDP and TCP. */
export interface SipDoors {
  /** SIP over TLS; absent without a certificate. */
  readonly tls?: {
    readonly port: number;
    readonly certificateFile: string;
    readonly keyFile: string;
    /** Authorities of the certificates that clients must show. */
    readonly clientsFile?: string;
  };
  /** Who may open a WebSocket. */
  readonly sockets: 'trusted' | 'anyone' | 'off';
  /** Web sites whose pages may, besides our own. */
  readonly origins: readonly string[];
  /** DNS servers; those of the machine when absent. */
  readonly dns?: readonly { readonly address: string; readonly port: number }[];
}

export function sipDoorsOf(values: Values): SipDoors {
  const certificateFile = values['sip.tls-cert'] ?? values['tls.cert'];
  const keyFile = values['sip.tls-key'] ?? values['tls.key'];
  const port = values['sip.tls-port'];
  const clientsFile = values['sip.tls-clients'];
  const dns = values['sip.dns'];
  return {
    ...(certificateFile !== undefined && keyFile !== undefined && port !== 'off'
      ? { tls: { port, certificateFile, keyFile, ...(clientsFile === undefined ? {} : { clientsFile }) } }
      : {}),
    sockets: values['sip.ws'],
    origins: values['sip.ws-origins'] ?? [],
    ...(dns === undefined ? {} : { dns }),
  };
}
