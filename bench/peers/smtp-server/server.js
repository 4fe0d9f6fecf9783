// nodemailer's smtp-server for bench/compare: PORT. Reads the message and drops it.
'use strict';
const { SMTPServer } = require('smtp-server');

const server = new SMTPServer({
    name: 'smtp-server.bench.example',
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    size: 100 * 1024 * 1024,
    maxClients: Infinity,
    onData(stream, session, callback) {
        stream.on('data', () => {});
        stream.on('end', () => callback(null, 'dropped'));
    },
});
server.on('error', error => console.error(String(error)));
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
