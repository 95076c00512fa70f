-- Sends the requests that the bench prepared: always the same one, or one per line of a file of tokens.
-- Arguments: file with the request's text ("{token}" where the token goes), file of tokens or "-", first line.
local requests, index, count = {}, 0, 0

function init(arguments)
  local template = assert(io.open(arguments[1], "rb")):read("*a")
  if arguments[2] == "-" then
    requests[1] = template
    count = 1
    return
  end
  local first, last = template:find("{token}", 1, true)
  local before, after = template:sub(1, first - 1), template:sub(last + 1)
  for token in io.lines(arguments[2]) do
    count = count + 1
    requests[count] = before .. token .. after
  end
  index = tonumber(arguments[3]) % count
end

function request()
  index = index + 1
  if index > count then index = 1 end
  return requests[index]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"refused":%d,"errors":%d,"p50Ms":%.4f,"p99Ms":%.4f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
