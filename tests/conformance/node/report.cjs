// What one client program finds out, told to the runner as one JSON line a call; settings come from the runner.
'use strict'

const { createHmac } = require('node:crypto')

const given = JSON.parse(process.env.CONFORMANCE)
const LONGEST_NOTE = 300

function tell(call, outcome, note = '') {
  process.stdout.write(JSON.stringify({ call, outcome, note: String(note).slice(0, LONGEST_NOTE) }) + '\n')
}

// Runs a call; it passes when its result is good, and fails when it is not or when anything is thrown.
async function check(call, run, good) {
  let found
  try {
    found = await run()
    const passed = Boolean(good(found))
    tell(call, passed ? 'pass' : 'fail', passed ? '' : 'unexpected: ' + JSON.stringify(found))
  } catch (problem) {
    tell(call, 'fail', 'thrown: ' + (problem?.message ?? problem))
  }
  return found
}

// A call that the client itself cannot make: its fault was shown, and the exchange's part proved.
function broken(call, reason, shown, proved) {
  if (shown && proved) tell(call, 'client', reason)
  else tell(call, 'fail', `thought broken in the client, but: shown ${shown}, proved ${proved}`)
}

// One signed request without the client.
async function signed(method, target) {
  const timestamp = Date.now()
  const signature = createHmac('sha256', given.secret).update(`${timestamp}${method}/v2${target}`).digest('hex')
  const answer = await fetch(given.rest + target, {
    method,
    headers: {
      'Bitvavo-Access-Key': given.key,
      'Bitvavo-Access-Signature': signature,
      'Bitvavo-Access-Timestamp': String(timestamp),
    },
  })
  return answer.json()
}

// An update keeps its order out of reach of a cancel for a moment.
const leaveBusy = () => new Promise((done) => setTimeout(done, 200))

const good = {
  ms: (value) => Number.isInteger(value) && value > 1.6e12 && value < 4e12,
  market: (row) => row.market === `${row.base}-${row.quote}` && row.status === 'trading' && Number(row.tickSize) > 0,
  asset: (row) => Number.isInteger(row.decimals) && row.networks.length > 0,
  book: (found) => Number(found.bids[0][0]) < Number(found.asks[0][0]) && found.nonce > 0,
  trade: (row) => row.id.length === 36 && Number(row.price) > 0 && ['buy', 'sell'].includes(row.side),
  candle: (row) => row.length === 6 && good.ms(row[0]) && Number(row[3]) <= Number(row[2]),
  day: (row) => Number(row.low) <= Number(row.last) && Number(row.last) <= Number(row.high) && Number(row.volume) > 0,
  best: (row) => Number(row.bid) < Number(row.ask),
  order: (row, status = 'new') => row.orderId.length === 36 && row.status === status && row.operatorId === 1001,
  filled: (row) => good.order(row, 'filled') && row.fills.length > 0 && Number(row.feePaid) > 0,
  ownTrade: (row) => good.trade(row) && row.orderId.length === 36 && row.feeCurrency === 'EUR',
  rates: (found) => Number(found.maker) < Number(found.taker),
  balances: (rows) => rows.some((row) => row.symbol === 'EUR' && Number(row.available) > 0),
  some: (each) => (rows) => rows.length > 0 && rows.every((row) => each(row)),
}

module.exports = { given, check, broken, signed, leaveBusy, good }
