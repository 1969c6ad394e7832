import type { FastifyInstance, FastifyRequest } from 'fastify';
import { canonicalAddress } from '../base/addresses.ts';
import { GatewayError } from '../base/errors.ts';
import { refuseOthers, sendJson } from './api-server.ts';
import type { BanStatus, GatewayControl, TrunkStatus } from './gateway-control.ts';
import { BAD_REQUEST, OK } from './http-status.ts';
import type { KeyBook } from './key-book.ts';
import { whyView } from './why-view.ts';

/** The process: its trunks, its users, its configuration. For keys of the default project alone: what stands here is everybody's. */
export function addAdminRoutes(app: FastifyInstance, deps: { readonly control: GatewayControl; readonly keys: () => KeyBook }): void {
  const { control, keys } = deps;
  const admit = ({ credential }: FastifyRequest): void => {
    if (!credential) throw new GatewayError('ERR_INTERNAL', 'a route without its gatekeeper');
    if (credential.secret) throw new GatewayError('ERR_FORBIDDEN', 'A client secret cannot do this.');
    const { defaultProject } = keys();
    if (credential.access.project !== defaultProject) {
      throw new GatewayError('ERR_FORBIDDEN', `This is for keys of the project ${defaultProject}.`);
    }
  };
  app.get('/trunks', async (request, reply) => {
    admit(request);
    return sendJson(reply, OK, { object: 'list', data: served(control.trunks()).map(trunkView) });
  });
  app.get('/users', async (request, reply) => {
    admit(request);
    const users = served(control.users());
    const view = users.map(({ user, contacts }) => ({
      object: 'user',
      name: user,
      contacts: contacts.map(({ transport, expiresInS }) => ({ transport, expires_in: expiresInS })),
    }));
    return sendJson(reply, OK, { object: 'list', data: view });
  });
  app.get('/bans', async (request, reply) => {
    admit(request);
    return sendJson(reply, OK, { object: 'list', data: served(control.bans()).map(banView) });
  });
  // A network is `2001:db8::/64`, its slash written as it is or as %2F.
  app.delete('/bans/*', async (request, reply) => {
    admit(request);
    const { '*': text } = request.params as { readonly '*': string };
    const address = canonicalAddress(text.includes(':') ? text.replace(/\/64$/, '') : text);
    if (address === undefined)
      throw new GatewayError('ERR_BAD_REQUEST', 'What is banned is an address, or an IPv6 network as in the list.');
    if (!served(control.liftBan(address))) throw new GatewayError('ERR_NOT_FOUND', 'This address is not banned.');
    return sendJson(reply, OK, { object: 'ban.deleted', address, deleted: true });
  });
  app.get('/calls/:id/why', async (request, reply) => {
    admit(request);
    const { id } = request.params as { readonly id: string };
    const record = served(control.why(id));
    if (record === 'unknown') throw new GatewayError('ERR_NOT_FOUND', 'No call of this id goes on or has ended lately.');
    return sendJson(reply, OK, whyView(record));
  });
  app.post('/config/reload', async (request, reply) => {
    admit(request);
    const outcome = await control.reload();
    if (outcome.type === 'applied') {
      return sendJson(reply, OK, { object: 'config.reload', applied: outcome.applied, needs_restart: outcome.needsRestart });
    }
    const message = `The configuration has ${outcome.faults.length === 1 ? 'a fault' : `${outcome.faults.length} faults`}: nothing was changed.`;
    return sendJson(reply, BAD_REQUEST, {
      error: { message, type: 'invalid_request_error', param: null, code: 'invalid_config', faults: outcome.faults },
    });
  });
  refuseOthers(app, '/calls/:id/why', ['GET']);
  refuseOthers(app, '/bans', ['GET']);
  refuseOthers(app, '/bans/*', ['DELETE']);
  refuseOthers(app, '/trunks', ['GET']);
  refuseOthers(app, '/users', ['GET']);
  refuseOthers(app, '/config/reload', ['POST']);
}

function served<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new GatewayError('ERR_NODE_UNREACHABLE', 'This process serves no phones.');
  return value;
}

function banView({ source, reason, since, expiresInS, times }: BanStatus): unknown {
  return { object: 'ban', address: source, reason, since: Math.floor(since / 1000), expires_in: expiresInS, times };
}

function trunkView({ name, up, inbound, outbound, registration }: TrunkStatus): unknown {
  return {
    object: 'trunk',
    name,
    ...(up === undefined ? {} : { up }),
    inbound,
    outbound,
    ...(registration && {
      registration: {
        registered: registration.registered,
        since: Math.floor(registration.since / 1000),
        registrar: registration.registrar,
        ...(registration.failure === undefined ? {} : { failure: registration.failure }),
      },
    }),
  };
}
