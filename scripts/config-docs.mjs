// Writes docs/configuration.md from the table of options; with --print to standard output instead. Run by `npm run docs`.
import { writeFileSync } from 'node:fs';
import { environmentName, fileOptions, notBuilt, options } from '../src/config/flags.ts';
import { defaultOf } from '../src/config/help.ts';
import { schema } from '../src/config/schema.ts';

const TRUNKS = [
  '```yaml',
  'trunks:',
  '  - name: carrier',
  '    peer: 192.0.2.9:5060 # calls go there; or a name, sip.example.com, for DNS to say where that is (SRV; with a port only its address)',
  '    transport: udp # or tcp, tls; left out, a name says it by NAPTR or SRV, and everything else is udp',
  '    tls: # with transport: tls; each of them may be left out',
  '      ca: carrier-ca.pem # whom its certificate must come from; the authorities that Node.js brings when left out',
  '      cert: us.pem # what we show where it asks, and its key',
  '      key: us.key',
  '      name: sip.example.com # what its certificate must name; its peer when left out. `*.example.com` stands for itself only',
  '    username: "1001" # for digest challenges of this peer, and of nobody else',
  '    password: secret # or { env: NAME }, { file: PATH }; those of auth and register, too',
  '    realm: sip.example.com # answer this realm only; any one of the peer when left out',
  '    addresses: [192.0.2.0/28] # where its calls come from, besides the peer',
  '    auth: { username: "2002", password: secret2 } # what its calls must show (401); nothing when left out. `realm:` is ringdown',
  '    # `algorithms:` [SHA-256, MD5]; [MD5] for phones that give up on what they do not know',
  '    keep-alive: 30 # seconds between OPTIONS to it; 0, none, when left out. While it does not answer, nothing is dialled by it',
  '    caps: # each direction by itself; these are the defaults',
  '      concurrent: 10 # calls at once: a small line of a business',
  '      per-second: 1 # new calls a second, what carriers start with',
  '      per-day: 1000 # new calls from midnight to midnight UTC; kept in the data directory',
  '      duration: 14400 # seconds from the answer on: four hours, then BYE',
  '    destinations: ["+1555*", "alice", "sip:bob@192.0.2.77", "sip:*@pbx.example.com"] # nothing when left out',
  '    register: # tells a registrar that calls for this account come here; {} takes everything from the trunk',
  '      registrar: 192.0.2.9:5060 # or a list of up to four, tried in turns; the peer when left out',
  '      domain: sip.example.com # of the address that is registered; the registrar when left out',
  '      username: "1001" # and `auth-username:`, `password:` where they differ; those of the trunk when left out',
  '      expires: 3600 # seconds to ask for',
  '      contact: learned # what the registrar sees of us behind a NAT; local: our own address',
  '      keep-alive: 25 # seconds between CRLF that keep a NAT open; 0 for none',
  '    numbers: # how it writes numbers',
  '      country: "49" # 030… and 0049… become +49… on the way in; `national:` is "0", `international:` "00"',
  '      inbound: { caller: [], called: [{ match: "1234*", strip: 4, add: "+4930" }] } # the first that fits: cut off, put before',
  '      outbound: { caller: [], called: [{ match: "+49*", strip: 3, add: "0" }] }',
  '    redirects: refuse # or follow: 3xx, within the destinations',
  '    refer: refuse # or allow: transfers that its side asks for, within the destinations',
  '    codecs: [opus, G722, PCMA] # instead of --codecs',
  '    srtp: required # instead of --srtp',
  '    sdes-over-plain: refuse # instead of --sdes-over-plain',
  '```',
  '',
  'Only `name` and `peer` are needed. A destination is compared whole; with `*` at its end, by its beginning; `"*"` alone is every number and name, but no `sip:` URI of',
  'another host. Write numbers in quotes: YAML takes `+1555` for the number 1555. As soon as one trunk has a destination, calls from addresses of no trunk get 403: who is a',
  'stranger must not be able to make us call anybody. `--print-config` masks passwords, and no log has them.',
];
const USERS = [
  '```yaml',
  'users:',
  '  - name: alice # what is registered, and dialled as sip:alice@… or user:alice',
  '    password: { env: ALICE_PASSWORD } # or { file: PATH }, or text of 8 characters at least',
  '    caller-id: "+15550100" # the number it calls as; its name when left out',
  '    calls: [agent, users, { trunk: carrier, destinations: ["+1555*"] }] # what it may call; [agent, users] when left out',
  '    max-contacts: 5 # phones at a time; the one not heard of for longest makes room',
  '  - name: bob',
  '    ha1: { sha-256: { file: secrets/bob.sha256 }, md5: { env: BOB_MD5 } } # H(name:realm:password) in hexadecimal, in place of the password',
  '```',
  '',
  'Only `name` and one of `password` and `ha1` are needed. As soon as there is a user, who is neither a trunk nor shows the password of a user is asked for one (401), unless `callers: anyone`. [users.md](users.md) has the rest.',
];
const PROJECTS = [
  '```yaml',
  'projects:',
  '  - name: shop',
  '    keys: # each of them is good; take a new one in before you take the old one out',
  '      - { env: SHOP_KEY } # a variable',
  '      - { file: secrets/shop.key }',
  '      - { sha256: 0f4b… } # printf %s "$KEY" | sha256sum',
  '      - sk-3f9c… # itself, 16 characters at least',
  '```',
  '',
  'A key is sent as `Authorization: Bearer KEY`. What a project calls or is called by (its routes) is not there for the others: 404. Phone calls that no route gives to a project belong to `default`,',
  'or to the first project where that one has no keys. [http.md](http.md) has who is trusted without a key.',
];
const ROUTES = [
  '```yaml',
  'routes:',
  '  - number: "+1555*" # what was dialled: * is any characters, ? is one; any number when left out',
  '    trunk: carrier # calls by it; from anywhere when left out',
  '    user: "sales-*" # calls of these users',
  '    caller: "+4930*" # who calls, as far as it says',
  '    header: { name: X-Tenant, value: "shop*" } # what stands in a header of the INVITE',
  '    hours: { days: [mon, tue, wed, thu, fri], from: "09:00", until: "17:30", offset: "+01:00" } # when it comes; every day, all day and UTC when left out',
  '    project: shop # whose the call is',
  '    answer: { instructions: "You take orders." } # a session object of the API',
  '  - number: support',
  '    project: shop',
  '    webhook:',
  '      url: https://shop.example.com/calls',
  '      secrets: [{ env: HOOK_SECRET_OLD }, { env: HOOK_SECRET }] # each signs; whsec_… or any text',
  '      within: 5 # seconds for the decision; so long the caller hears ringing',
  '      otherwise: { reject: 480 } # or answer: SESSION; when nobody has decided',
  '```',
  '',
  'The first route that fits is taken; a call that fits none is answered at once. Write numbers in quotes. [http.md](http.md) says what is sent to the webhook and how to verify it.',
];
const MODEL = [
  '```yaml',
  'model:',
  '  type: realtime # or embedded, the agent that needs no other service',
  '  profile: openai # azure, generic (a server with the names of today) or generic-beta (with those of the beta)',
  '  url: wss://api.openai.com/v1/realtime # the default of openai; the others need one',
  '  model: gpt-realtime # for azure the deployment; generic servers may need none',
  '  key: { env: OPENAI_API_KEY }',
  "  voice: marin # the session's own, where a program chose one",
  '  instructions: You are friendly and brief.',
  '  greet: true # the model speaks first; false: it waits; a text: instructions for its first words',
  "  ca: other.pem # certificates to trust beside the system's: another gateway's own",
  '  cap-minutes: 60 # the vendor ends a session then, and ours goes on in a new one; the profile knows it when left out',
  '  turns: gateway # who takes turns; upstream: the server, which then hears the caller all the time (docs/upstream.md)',
  '  # uplink-while-speaking: auto # with turns: upstream, what it hears while the agent speaks: auto, gated, through, duck',
  '```',
  '',
  'Only `type` is needed, `model` and `key` for openai and azure, and `url` for all but openai.',
  '',
  '```yaml',
  'model:',
  '  type: pipeline # services in a row, by OpenAI-compatible HTTP; any of them may be on this machine',
  '  transcription:',
  '    url: http://127.0.0.1:8000/v1 # up to /v1, or the whole address with its query',
  '    model: whisper-1',
  '    key: { env: TRANSCRIPTION_KEY } # none when left out',
  '    language: en',
  '    prompt: Ringdown, ICE, DTLS # words that come up',
  '    stream: true # words as they are understood, where the service can',
  '    timeout: 5 # seconds for the first word; each service has it',
  '  chat:',
  '    url: http://127.0.0.1:11434/v1',
  '    model: llama3.2',
  '    extra: { temperature: 0.3 } # goes into each request as it is; each service has it',
  '  speech:',
  '    url: http://127.0.0.1:8880/v1',
  '    model: kokoro',
  '    voice: af_heart # where a session names none, or one that the service does not have',
  '    speed: 1 # 0.25 to 4',
  '    format: pcm # or wav',
  '    rate: 24000 # of pcm, in Hz',
  '  instructions: You are friendly and brief.',
  '  greeting: Hello, how can I help? # said as it stands; the caller speaks first when left out',
  '  fallback: I am sorry, something went wrong. # said when a service fails; in English when left out',
  '  patience: One moment, please. # said when nothing is heard for patience-ms; in English when left out',
  '  patience-ms: 1500 # 0: never',
  '```',
  '',
  '`url` and `model` of each service and `voice` are needed; [pipeline.md](pipeline.md) says what happens with them. With `type: realtime` and `type: pipeline` calls cost money, so only trunks may call, unless `callers: anyone` says otherwise.',
];
const MCP = [
  '```yaml',
  'mcp:',
  '  servers: # shared by all sessions of a process',
  '    - label: files # what programs and the model know it by',
  '      command: npx # a program of this machine, one for each process of the gateway that owns sessions',
  '      args: [-y, some-mcp-server, /srv/files]',
  '      env: { API_TOKEN: { env: FILES_TOKEN } } # beside PATH, HOME and the like; its values are kept out of the log',
  '      cwd: /srv',
  '    - label: crm',
  '      url: https://crm.example.com/mcp # streamable HTTP',
  '      key: { file: crm.key } # sent as a bearer token',
  '      headers: { X-Tenant: acme }',
  "      ca: crm-ca.pem # certificates to trust beside the system's",
  '      allowed-tools: [find_customer, create_ticket] # all when left out',
  '      require-approval: { always: [create_ticket] } # always, never (the default), or lists of names; lists: all others but those of never',
  '      everywhere: false # only sessions that name the label have it; true, the default: every session has it',
  '      projects: [support] # whose sessions may have it; all when left out',
  '  allow: [10.1.2.0/24, "127.0.0.1:3001"] # addresses that are not on the public internet and may be connected to all the same, also without TLS',
  '  session-servers: all # whose sessions may bring servers by URL: all, none or a list of projects; never client secrets',
  '  list-seconds: 10 # for a server to say hello and tell its tools',
  '  call-seconds: 30 # for a call',
  '```',
  '',
  '`label` and either `command` or `url` of each server are needed; [mcp.md](mcp.md) says what happens with them.',
];
const TOOLS = [
  '```yaml',
  'tools:',
  '  transfer: # to these and nobody else; the model knows the names and what is said of them',
  '    targets:',
  '      reception: { uri: "sip:desk@192.0.2.50", description: a person at the desk }',
  '      night: { uri: "tel:+15550100" }',
  '  hang-up: true # not, when left out; so all of them',
  '  send-dtmf: { allow: "0123456789*#", most: 32 } # keys it may press, and how many at once; `true` is the same',
  '  hold-music: { minutes: 10 } # at the most; `true` is the same',
  '  collect-digits: { secure: false, most: 32 } # secure: the model never has them, whatever it asks for',
  '  filler: # while a tool runs, for every tool that says nothing of it; nothing is heard when left out',
  '    sound: typing # or tone, phrase, none',
  '    after-ms: 600 # of silence',
  '    text: One moment, please. # of `phrase`, in the voice of a `pipeline`; other models: the prompt "One moment."',
  '```',
  '',
  'Nothing is needed, and without any of it the model is given none of these tools. [tools.md](tools.md) says what each does.',
];
const DRACHTIO = [
  '```yaml',
  'drachtio:',
  '  secret: { env: DRACHTIO_SECRET } # shared with the servers; a text, {env: NAME} or {file: PATH}',
  '  listen: 10.0.0.5:9023 # where servers come to with a call; nobody can when left out',
  '  announce: 10.0.0.5:9023 # what GET /drachtio/route names to a server that asks where to go; as listen when left out',
  '  allow: [10.0.0.0/24] # servers that may come and ask; this machine only, when left out',
  '  servers: [10.0.0.4:9022] # that we go to: by these calls are placed, and come in as well',
  '  cert: cert.pem # what we show to servers that come by TLS; plain TCP when left out. With key',
  '  key: key.pem',
  '  ca: ca.pem # authorities of the servers we go to; they are then reached by TLS',
  '```',
  '',
  '`secret` and one of `listen` and `servers` are needed. [drachtio.md](drachtio.md) says how the servers are set up.',
];
const EXAMPLES = {
  trunks: TRUNKS,
  users: USERS,
  projects: PROJECTS,
  routes: ROUTES,
  model: MODEL,
  mcp: MCP,
  tools: TOOLS,
  drachtio: DRACHTIO,
};
const lines = [
  '# Configuration',
  '',
  '<!-- Written by `npm run docs` from src/config/flags.ts and src/config/schema.ts; a test keeps it current. -->',
  '',
  'Nothing has to be configured. Each setting goes by three names: a flag, an environment variable and a key in a YAML file. A flag wins over the',
  'variable, the variable over the file, the file over the default. `--print-config` shows the outcome, where each value comes from, and can be used as the file.',
  '',
  'The file is `./ringdown.yaml` if it is there, or what `--config FILE` (`RINGDOWN_CONFIG`) names. A key with a point is a key in a section:',
  '',
  '```yaml',
  'sip:',
  '  port: 5070',
  'rtp:',
  '  ports: 20000-20999',
  'max-calls: 50',
  '```',
  '',
  'Paths are relative to the directory the gateway is started in. An empty variable counts as not set; of a flag given twice the last one counts.',
  '',
  'All faults are told at once, with the file and line, the variable or the flag, the value and what is allowed; the exit code is then 2. Unknown flags, keys and',
  'variables `RINGDOWN_*` are faults too. (Variables that Kubernetes makes for a Service whose name begins with `ringdown` are not; where one takes the name of a',
  'setting, set `enableServiceLinks: false` in the pod.)',
];
for (const group of new Set(options.map((option) => option.group))) {
  lines.push('', `## ${group}`);
  for (const option of options.filter((each) => each.group === group)) {
    const fallback = defaultOf(option);
    lines.push('', `### \`--${option.flag} ${option.takes}\``, '');
    lines.push(`${sentence(option.help)}`, '');
    lines.push(`* variable \`${environmentName(option.flag)}\`, key \`${option.key}\``);
    lines.push(`* allowed: ${option.allowed}`);
    const reason = schema[option.key].description;
    lines.push(fallback === undefined ? `* default: ${reason}` : `* default: \`${fallback}\` – ${reason}`);
  }
}
for (const { key, group, help, allowed } of fileOptions) {
  lines.push('', `## ${group}`, '', `### \`${key}:\``, '', `${sentence(help)}`, '');
  lines.push('* in the file only', `* allowed: ${allowed}`, `* default: ${schema[key].description}`);
  lines.push('', ...EXAMPLES[key]);
}
lines.push('', '## Not built yet', '', 'These names are refused, never ignored:', '');
for (const { flag, key, what } of notBuilt)
  lines.push(`* ${[flag && `\`--${flag}\``, key && `\`${key}:\``].filter(Boolean).join(', ')}: ${what}`);

const page = `${lines.join('\n')}\n`;
if (process.argv.includes('--print')) process.stdout.write(page);
else writeFileSync(new URL('../docs/configuration.md', import.meta.url), page);

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
