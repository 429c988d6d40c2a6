use super::world::World;
#[derive(Debug)]
pub struct Code;
pub fn replay(_: &Code, _: &World) -> Result<(), String> { Ok(()) }
