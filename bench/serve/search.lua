-- search.lua: each request is a search for other bytes, as raw f32, of the dimension that the index says it has.
local vectors = {}

local function dimension()
  local pipe = io.popen("curl -s " .. wrk.scheme .. "://" .. wrk.host .. ":" .. wrk.port .. "/v1/info")
  local dim = tonumber(pipe:read("*a"):match('"dim":(%d+)'))
  pipe:close()
  return dim
end

-- The whole number n as the bytes of an f32; n from 0 to 255.
local function f32(n)
  if n == 0 then return "\0\0\0\0" end
  local exponent, power = 0, 1
  while power * 2 <= n do power = power * 2; exponent = exponent + 1 end
  local bits = (exponent + 127) * 2 ^ 23 + (n - power) / power * 2 ^ 23
  return string.char(bits % 256, math.floor(bits / 256) % 256, math.floor(bits / 65536) % 256, math.floor(bits / 16777216))
end

function init(args)
  local dim = dimension()
  math.randomseed(os.time())
  for i = 1, 256 do
    local values = {}
    local middle = math.random(0, 255)
    for d = 1, dim do values[d] = f32(math.max(0, math.min(255, middle + math.random(-40, 40)))) end
    vectors[i] = table.concat(values)
  end
  wrk.method = "POST"
  wrk.path = "/v1/search?k=10"
  wrk.headers["Content-Type"] = "application/octet-stream"
end

function request()
  return wrk.format(nil, nil, nil, vectors[math.random(#vectors)])
end
