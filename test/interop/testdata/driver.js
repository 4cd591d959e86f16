// What an application does by tarantool-driver, against the instance at argv[2] as the user
// argv[3] with the password argv[4]. The spaces are there. Behind "restart", on a line of
// its own, the instance is started anew.
const assert = require('assert')
const Tarantool = require('tarantool-driver')

const [host, port] = process.argv[2].split(':')
const options = { host, port: Number(port), username: process.argv[3], password: process.argv[4] }

// refused is what a promise that must fail says.
async function refused (what, promise, text) {
  let got
  try {
    got = await promise
  } catch (err) {
    assert.ok(err.message.includes(text), `${what}: ${err.message}, want ${text}`)
    return
  }
  assert.fail(`${what}: was not refused, ${JSON.stringify(got)}`)
}

async function statements (c) {
  assert.strictEqual(await c.ping(), true)
  assert.deepStrictEqual(await c.insert('driven', [1, 'a', 1]), [[1, 'a', 1]])
  await refused('a second insert', c.insert('driven', [1, 'b', 1]), 'Duplicate key exists in unique index')
  assert.deepStrictEqual(await c.replace('driven', [2, 'b', 1]), [[2, 'b', 1]])
  assert.deepStrictEqual(await c.update('driven', 'pk', [1], [['+', 2, 5], ['=', 1, 'c']]), [[1, 'c', 6]])
  assert.deepStrictEqual(await c.update('driven', 'pk', [9], [['+', 2, 5]]), [])
  await c.upsert('driven', [['+', 2, 1]], [3, 'd', 0])
  await c.upsert('driven', [['+', 2, 1]], [3, 'd', 0])
  assert.deepStrictEqual(await c.select('driven', 'pk', 10, 0, 'all', []), [[1, 'c', 6], [2, 'b', 1], [3, 'd', 1]])
  assert.deepStrictEqual(await c.select('driven', 'pk', 1, 1, 'gt', [1]), [[3, 'd', 1]])
  assert.deepStrictEqual(await c.select('driven', 'name', 10, 0, 'eq', ['b']), [[2, 'b', 1]])
  assert.deepStrictEqual(await c.select('driven', 'name', 10, 0, 'req', []), [[3, 'd', 1], [1, 'c', 6], [2, 'b', 1]])
  assert.deepStrictEqual(await c.delete('driven', 'pk', [2]), [[2, 'b', 1]])
  assert.deepStrictEqual(await c.delete('driven', 'pk', [2]), [])
  await new Promise((resolve, reject) => c.selectCb('driven', 'pk', 10, 0, 'eq', [1], rows => {
    assert.deepStrictEqual(rows, [[1, 'c', 6]])
    resolve()
  }, reject))
}

async function values (c) {
  const all = [100, 'values', 0, 2 ** 40, -5, 1.5, true, null, 'héllo', [1, [2]], { a: { b: 1 } }]
  assert.deepStrictEqual(await c.replace('driven', all), [all])
  const long = 'x'.repeat(200000)
  assert.strictEqual((await c.replace('driven', [102, long, 0]))[0][1], long)
}

// Results of calls are tuples: the connector asks by CALL_16.
async function calls (c) {
  assert.deepStrictEqual(await c.call('box.space.driven:len'), [[4]])
  assert.deepStrictEqual(await c.call('box.space.driven:get', 1), [[1, 'c', 6]])
  assert.deepStrictEqual(await c.eval('return ...', 1, 'x'), [1, 'x'])
  assert.strictEqual((await c.call('box.info'))[0][0].status, 'running')
  await refused('a call of nothing', c.call('nothing'), "Procedure 'nothing' is not defined")
  await refused('a wrong type', c.insert('driven', ['x', 'y', 1]), 'Tuple field 1 type does not match one required by operation: expected unsigned, got string')
  await refused('a wrong key', c.select('driven', 'pk', 1, 0, 'eq', ['x']), 'Supplied key type of part 0')
  await refused('a space that is not there', c.insert(60000, [1]), "Space '60000' does not exist")
}

async function together (c) {
  const many = []
  for (let i = 1000; i < 3000; i++) many.push(c.replace('driven', [i, 'm', i]))
  for (const [at, rows] of (await Promise.all(many)).entries()) assert.strictEqual(rows[0][0], 1000 + at)
  assert.strictEqual((await c.select('driven', 'pk', 5000, 0, 'ge', [1000])).length, 2000)
  const line = await c.pipeline().insert('driven', [5000, 'p', 1]).select('driven', 'pk', 1, 0, 'eq', [5000]).exec()
  assert.strictEqual(line.length, 2)
}

async function logins () {
  const wrong = new Tarantool({ ...options, password: 'not this', lazyConnect: true, retryStrategy: () => null })
  wrong.on('error', () => {})
  await refused('a wrong password', wrong.connect(), 'Connection is closed')
  wrong.destroy()
}

// again asks until the instance, which is started anew, writes.
async function again (c) {
  for (let left = 600; ; left--) {
    try {
      return await c.replace('driven', [1, 'again', 0])
    } catch (err) {
      if (left === 0) throw err
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

async function main () {
  const c = new Tarantool(options)
  c.on('error', () => {}) // of the time between two connections
  await statements(c)
  await values(c)
  await calls(c)
  await together(c)
  await logins()
  const back = new Promise(resolve => c.once('reconnecting', resolve))
  console.log('restart')
  await back
  assert.deepStrictEqual(await again(c), [[1, 'again', 0]])
  assert.deepStrictEqual(await c.select('driven', 'pk', 1, 0, 'eq', [2999]), [[2999, 'm', 2999]])
  c.disconnect()
  console.log('all is well')
}

main().catch(err => {
  console.error(err)
  process.exit(1)
})
